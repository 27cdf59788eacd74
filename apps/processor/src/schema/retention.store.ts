/**
 * How long the processor keeps what: one entry per table of its schema, drawn into docs/retention.md. A new table needs a line
 * here.
 *
 * (T1) Only what has ended goes. A run that waits for a person waits for as long as it takes.
 * (T2) A run first loses its detail and keeps its row as a tombstone: a message of the run that comes again finds it, and
 *      changes nothing. The row stays longer than any topic keeps a message; settings that say otherwise are refused at start.
 * (T3) A result stays while a run with its detail refers to it, even where the api has not heard of it yet. Inputs and
 *      documents are the api's to keep.
 */
import type { ContentStore, NeededUntil } from '#libs/content';
import { parkedRemover } from '#libs/messaging';
import {
  forgetOutputs,
  noteLeftovers,
  removeCalls,
  removeDayBudgets,
  removeLatches,
} from '#libs/openai-gateway';
import { removalOf, removalOfOld, statement, type Database, type Retention } from '#libs/postgres';
import type { Keep } from '#libs/process';
import { forgetEffects, removeEffects } from './effects.store.js';

export interface ProcessorStores {
  readonly database: Database;
  readonly contents: ContentStore;
  readonly neededUntil: NeededUntil;
}

const removeParked = parkedRemover('processor');

export const processorRetention: readonly Retention<ProcessorStores, Keep>[] = [
  {
    kind: 'goes',
    tables: [
      'processor.executions',
      'processor.check_points',
      'processor.attempts',
      'processor.calls',
      'processor.effects',
    ],
    what: 'check-points, attempts, the request, what the model said, and what effects sent and were answered, of ended runs',
    keptFor: 'detailMs',
    remove: ({ database }, keepMs, maxRows) => expire(database, keepMs, maxRows),
  },
  {
    kind: 'goes',
    tables: [
      'processor.executions',
      'processor.calls',
      'processor.call_stops',
      'processor.budgets',
      'processor.run_fences',
      'processor.call_leftovers',
      'processor.unsettled_runs',
      'processor.effects',
      'processor.decisions',
    ],
    what: 'tombstones of ended runs, with their calls (state, ids, usage and cost) and budgets, effects (state and ids) and what was decided about them',
    keptFor: 'runsMs',
    remove: ({ database }, keepMs, maxRows) => removeTombstones(database, keepMs, maxRows),
  },
  {
    kind: 'goes',
    tables: ['processor.decisions'],
    what: 'decisions about runs that never came',
    keptFor: 'runsMs',
    remove: async ({ database }, keepMs, maxRows) =>
      (await database.query(REMOVE_EARLY_DECISIONS, [keepMs, maxRows])).rowCount,
  },
  {
    kind: 'goes',
    tables: ['processor.budgets'],
    what: 'what tenants and workflows have spent of their budgets, from the end of the day',
    keptFor: 'runsMs',
    remove: ({ database }, keepMs, maxRows) => removeDayBudgets(database, keepMs, maxRows),
  },
  {
    kind: 'goes',
    tables: ['processor.webhooks'],
    what: "that OpenAI has told of a response's end, from when it did; the sender repeats itself for three days at most",
    keptFor: 'runsMs',
    remove: async ({ database }, keepMs, maxRows) =>
      (await database.query(REMOVE_WEBHOOKS, [keepMs, maxRows])).rowCount,
  },
  {
    kind: 'goes',
    tables: ['processor.latches'],
    what: 'latches, from when they were released; those that are held stay',
    keptFor: 'runsMs',
    remove: ({ database }, keepMs, maxRows) => removeLatches(database, keepMs, maxRows),
  },
  {
    kind: 'goes',
    tables: ['processor.outbox'],
    what: 'messages that Kafka refused for good, from when it did; all others go when Kafka has them',
    keptFor: 'runsMs',
    remove: ({ database }, keepMs, maxRows) => removeParked(database, keepMs, maxRows),
  },
  {
    kind: 'goes',
    tables: ['content.contents'],
    what: 'the claim of the processor on contents that are no result of a run of its',
    keptFor: 'contentMs',
    remove: ({ contents, neededUntil }, overMs, maxContents) =>
      contents.letGo('processor', { overMs, maxContents }, neededUntil), // (T3)
  },
  {
    kind: 'stays',
    table: 'processor.lanes',
    because: 'one row per tenant and model, with the weight and the pause that people gave it',
  },
  {
    kind: 'stays',
    table: 'processor.limit_buckets',
    because: 'one row per account, model pool and service tier',
  },
  { kind: 'stays', table: 'processor.leases', because: 'one row per kind of leader' },
  { kind: 'stays', table: 'processor.migrations', because: 'one row per migration' },
];

/** Until when runs need these results. One that still has detail is looked at again when that may be over, or in a week. */
export function neededByExecutions(database: Database, detailMs: number): NeededUntil {
  return async (refs) => {
    const keptMs = detailMs === 0 ? MAX_TRUST_MS : detailMs;
    const { rows } = await database.query<{ ref: string; until: Date }>(NEEDED_UNTIL, [
      refs,
      Math.min(keptMs, MAX_TRUST_MS),
    ]);
    return new Map(rows.map(({ ref, until }) => [ref, until]));
  };
}

const MAX_TRUST_MS = 7 * 86_400_000;

async function expire(database: Database, keepMs: number, maxRows: number): Promise<number> {
  return database.transaction(async (tx) => {
    const { rows } = await tx.query<{ run_id: string }>(DUE, [keepMs, maxRows]);
    const runIds = rows.map(({ run_id }) => run_id);
    if (runIds.length === 0) return 0;
    await tx.query(REMOVE_CHECK_POINTS, [runIds]);
    await tx.query(REMOVE_ATTEMPTS, [runIds]);
    await forgetOutputs(tx, runIds);
    noteLeftovers(tx, runIds); // conversations of processes that died hold the same
    await forgetEffects(tx, runIds);
    await tx.query(EXPIRE, [runIds]);
    return runIds.length;
  });
}

async function removeTombstones(
  database: Database,
  keepMs: number,
  maxRows: number,
): Promise<number> {
  return database.transaction(async (tx) => {
    const { rows } = await tx.query<{ run_id: string }>(REMOVE_TOMBSTONES, [keepMs, maxRows]);
    const runIds = rows.map(({ run_id }) => run_id);
    if (runIds.length === 0) return 0;
    await removeCalls(tx, runIds);
    await removeEffects(tx, runIds);
    await tx.query(REMOVE_DECISIONS, [runIds]);
    await tx.query(REMOVE_UNSETTLED, [runIds]);
    return runIds.length;
  });
}

/** (T1) Only an ended run has `ended_at`. */
const DUE = statement(
  'processor.retention.due',
  `SELECT run_id FROM processor.executions
   WHERE ended_at < now() - $1 * interval '1 ms' AND expired_at IS NULL
   ORDER BY ended_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED`,
);

const REMOVE_CHECK_POINTS = removalOf(
  'processor.retention.remove_check_points',
  'processor.check_points',
);

const REMOVE_ATTEMPTS = removalOf('processor.retention.remove_attempts', 'processor.attempts');

/** (T2) The request keeps what the row knows anyway, so that whatever reads it finds one that is well-formed. */
const EXPIRE = statement(
  'processor.retention.expire',
  `UPDATE processor.executions
   SET expired_at = now(), traceparent = NULL, progress = NULL, result_ref = NULL,
       request = json_build_object('runId', 'run_' || run_id, 'tenant', tenant, 'workflow', workflow,
         'workflowVersion', workflow_version, 'inputRef', '', 'documents', '[]'::json,
         'priority', CASE priority WHEN 0 THEN 'interactive' ELSE 'batch' END, 'deadlineAt', NULL, 'reference', NULL,
         'labels', '{}'::json)
   WHERE run_id = ANY($1::uuid[])`,
);

const REMOVE_TOMBSTONES = statement(
  'processor.retention.remove_tombstones',
  `WITH due AS (
     SELECT run_id FROM processor.executions
     WHERE ended_at < now() - $1 * interval '1 ms' AND expired_at IS NOT NULL
     ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED
   )
   DELETE FROM processor.executions e USING due WHERE e.run_id = due.run_id RETURNING e.run_id`,
);

const REMOVE_DECISIONS = removalOf('processor.retention.remove_decisions', 'processor.decisions');

const REMOVE_UNSETTLED = removalOf(
  'processor.retention.remove_unsettled',
  'processor.unsettled_runs',
);

/** Of a run that is known none waits from before it. */
const REMOVE_EARLY_DECISIONS = statement(
  'processor.retention.remove_early_decisions',
  `DELETE FROM processor.decisions WHERE (run_id, decision_id) IN (
     SELECT d.run_id, d.decision_id FROM processor.decisions d
     WHERE d.state = 'pending' AND d.received_at < now() - $1 * interval '1 ms'
       AND NOT EXISTS (SELECT FROM processor.executions e WHERE e.run_id = d.run_id)
     ORDER BY d.received_at LIMIT $2)`,
);

const REMOVE_WEBHOOKS = removalOfOld('processor.retention.remove_webhooks', {
  ...{ table: 'processor.webhooks', key: 'webhook_id', since: 'received_at' },
});

/** A run that has lost its detail has lost its reference: see EXPIRE. */
const NEEDED_UNTIL = statement(
  'processor.retention.needed_until',
  `SELECT w.ref, max(coalesce(e.ended_at, now())) + $2 * interval '1 ms' AS until
   FROM unnest($1::text[]) AS w(ref) JOIN processor.executions e ON e.result_ref = w.ref
   GROUP BY w.ref`,
);
