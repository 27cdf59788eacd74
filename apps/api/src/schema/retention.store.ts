/**
 * How long the api keeps what: one entry per table of the schemas `api` and `content`, drawn into docs/retention.md. A new
 * table needs a line here.
 *
 * (T1) Only what has ended goes. A run that waits for a person waits for as long as it takes.
 * (T2) A run first loses its detail and keeps its row, which answers for the run and for its key; the row goes later.
 * (T3) A content stays while a run with its detail, or a decision that may have to be sent again, refers to it. References of
 *      runs end here, in (T2), and nowhere else.
 */
import { documentId, type ContentStore, type NeededUntil } from '#libs/content';
import { parkedRemover } from '#libs/messaging';
import { removalOfOld, statement, type Database, type Retention } from '#libs/postgres';
import type { Keep } from '#libs/process';

export interface ApiStores {
  readonly database: Database;
  readonly contents: ContentStore;
  readonly neededUntil: NeededUntil;
}

const removeParked = parkedRemover('api');

export const apiRetention: readonly Retention<ApiStores, Keep>[] = [
  {
    kind: 'goes',
    tables: ['api.runs', 'api.run_events'],
    what: 'history, result, reference, labels and document names of ended runs',
    keptFor: 'detailMs',
    remove: ({ database }, keepMs, maxRows) => removed(database, EXPIRE, keepMs, maxRows),
  },
  {
    kind: 'goes',
    tables: ['api.runs', 'api.decisions', 'api.run_spend'],
    what: 'ended runs, with their idempotency keys, what people decided about them and what they have cost',
    keptFor: 'runsMs',
    remove: ({ database }, keepMs, maxRows) => removed(database, REMOVE_RUNS, keepMs, maxRows),
  },
  {
    kind: 'goes',
    tables: ['api.parked_events'],
    what: 'events that could not be read, from when they came',
    keptFor: 'detailMs',
    remove: ({ database }, keepMs, maxRows) => removed(database, REMOVE_PARKED, keepMs, maxRows),
  },
  {
    kind: 'goes',
    tables: ['api.refused_commands'],
    what: 'that a command was refused, from when it was',
    keptFor: 'runsMs',
    remove: ({ database }, keepMs, maxRows) => removed(database, REMOVE_REFUSED, keepMs, maxRows),
  },
  {
    kind: 'goes',
    tables: ['api.outbox'],
    what: 'messages that Kafka refused for good, from when it did; all others go when Kafka has them',
    keptFor: 'runsMs',
    remove: ({ database }, keepMs, maxRows) => removeParked(database, keepMs, maxRows),
  },
  {
    kind: 'goes',
    tables: ['content.contents'],
    what: 'the claim of the api on contents that no run of its, and no decision without an answer, refers to',
    keptFor: 'contentMs',
    remove: ({ contents, neededUntil }, overMs, maxContents) =>
      contents.letGo('api', { overMs, maxContents }, neededUntil), // (T3)
  },
  {
    kind: 'goes',
    tables: ['content.contents', 'content.bodies', 'content.chunks'],
    what: 'documents, inputs and results that neither app claims any more',
    keptFor: 'contentMs',
    remove: ({ contents }, _keepMs, maxRows) => contents.collectLetGo(maxRows),
  },
  {
    kind: 'goes',
    tables: ['content.bodies', 'content.chunks'],
    what: 'what uploads left that were broken off, 24 hours after they began',
    keptFor: 'contentMs',
    remove: ({ contents }, _keepMs, maxRows) => contents.collectAbandonedUploads(maxRows),
  },
  { kind: 'stays', table: 'api.leases', because: 'one row per kind of leader' },
  { kind: 'stays', table: 'api.migrations', because: 'one row per migration' },
  { kind: 'stays', table: 'content.migrations', because: 'one row per migration' },
];

/** Until when runs need these contents. One that still has detail is looked at again when that may be over, or in a week. */
export function neededByRuns(database: Database, detailMs: number): NeededUntil {
  return async (refs) => {
    const keptMs = detailMs === 0 ? MAX_TRUST_MS : detailMs;
    const documents = refs.map((ref) => documentId(ref));
    const { rows } = await database.query<{ ref: string; until: Date }>(NEEDED_UNTIL, [
      refs,
      documents,
      Math.min(keptMs, MAX_TRUST_MS),
    ]);
    return new Map(rows.map(({ ref, until }) => [ref, until]));
  };
}

const MAX_TRUST_MS = 7 * 86_400_000;

async function removed(
  database: Database,
  rule: ReturnType<typeof statement>,
  keepMs: number,
  maxRows: number,
): Promise<number> {
  return (await database.query(rule, [keepMs, maxRows])).rowCount;
}

/** (T1) Only an ended run has `ended_at`. Failure and usage stay with the row: how it ended, and what it cost. */
const EXPIRE = statement(
  'api.retention.expire',
  `WITH due AS (
     SELECT tenant, id FROM api.runs
     WHERE ended_at < now() - $1 * interval '1 ms' AND expired_at IS NULL
     ORDER BY ended_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
   ), history AS (
     DELETE FROM api.run_events e USING due WHERE e.tenant = due.tenant AND e.run_id = due.id
   )
   UPDATE api.runs r
   SET expired_at = now(), revision = revision + 1, input_ref = NULL, documents = '[]', reference = NULL, labels = '{}',
       progress = NULL, result = NULL, result_ref = NULL
   FROM due WHERE r.tenant = due.tenant AND r.id = due.id`,
);

const REMOVE_RUNS = statement(
  'api.retention.remove_runs',
  `WITH due AS (
     SELECT tenant, id FROM api.runs
     WHERE ended_at < now() - $1 * interval '1 ms' AND expired_at IS NOT NULL
     ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED
   ), decisions AS (
     DELETE FROM api.decisions d USING due WHERE d.tenant = due.tenant AND d.run_id = due.id
   ), spend AS (
     DELETE FROM api.run_spend s USING due WHERE s.tenant = due.tenant AND s.run_id = due.id
   )
   DELETE FROM api.runs r USING due WHERE r.tenant = due.tenant AND r.id = due.id`,
);

/** Longer than a topic keeps the command: delivered again, it must be known as refused. */
const REMOVE_REFUSED = removalOfOld('api.retention.remove_refused_commands', {
  ...{ table: 'api.refused_commands', key: 'id', since: 'refused_at' },
});

/** Those that wait for another event are taken up within seconds (retake-parked.ts). */
const REMOVE_PARKED = statement(
  'api.retention.remove_parked_events',
  `WITH due AS (
     SELECT topic, "partition", "offset" FROM api.parked_events
     WHERE parked_at < now() - $1 * interval '1 ms' AND reason NOT IN ('gap', 'unknown_run')
     ORDER BY parked_at LIMIT $2 FOR UPDATE SKIP LOCKED
   )
   DELETE FROM api.parked_events p USING due
   WHERE p.topic = due.topic AND p."partition" = due."partition" AND p."offset" = due."offset"`,
);

/** A run that has lost its detail has lost its references: see EXPIRE. */
const NEEDED_UNTIL = statement(
  'api.retention.needed_until',
  `WITH wanted AS (
     SELECT * FROM unnest($1::text[], $2::text[]) AS w(ref, document)
   ), named AS (
     SELECT w.ref, r.ended_at FROM wanted w JOIN api.runs r ON r.input_ref = w.ref
     UNION ALL
     SELECT w.ref, r.ended_at FROM wanted w JOIN api.runs r ON r.result_ref = w.ref
     UNION ALL
     SELECT w.ref, r.ended_at
     FROM wanted w JOIN api.runs r ON r.documents @> jsonb_build_array(w.document) AND r.documents <> '[]'::jsonb
     UNION ALL
     SELECT w.ref, NULL FROM wanted w JOIN api.decisions d ON d.result_ref = w.ref AND d.state = 'pending'
   )
   SELECT ref, max(coalesce(ended_at, now())) + $3 * interval '1 ms' AS until FROM named GROUP BY ref`,
);
