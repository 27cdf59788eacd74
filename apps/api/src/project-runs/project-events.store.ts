/**
 * Applies run events to the read model, many per statement.
 *
 * (P1) An event is applied if it is the run's next one, by a compare-and-set on `version`; view, history and what was parked
 *      of it change in the same statement. So duplicates and stale events change nothing, whoever brings them.
 * (P2) What is not the next one is parked in that statement too: a gap, or a run not known yet.
 * (P3) An event older than the view that the history lacks fills its place there, and the view is folded again over the whole
 *      history: in whatever order a run's events come, the same view comes out.
 * (P4) Model output may hold U+0000 and half surrogate pairs: the `json` type stores them, but any operator that looks into
 *      such a value fails (22P05). So bodies and results pass through whole, and what SQL reads is cleaned before.
 * (P5) What became of a decision is noted with the event that says so, in one transaction: no view shows one without the other.
 * (P6) Rows are locked in the order of (tenant, id), which is the order the batcher sorts by.
 * (P7) The history of an expired run is gone: an old event that comes again must not be taken for a missing one.
 * (P8) An event that was sent again lies behind all that its run told before: what is missing then is lost, and not waited for.
 * (P9) What a run has spent is told whole by each event that tells of it: the rows of the newest take the place of what was there.
 * (P10) What is settled of it later is told whole, too, and is newer than all that the run told up to that version: rows bear
 *      (version, settlement), and give way to a higher one only.
 */
import type { Metrics } from '#libs/metrics';
import { pauseAt } from '#libs/pause-points';
import {
  type Database,
  hotStatement,
  KeyedBatcher,
  type Sql,
  statement,
  type Tx,
} from '#libs/postgres';
import type { ParkReason } from '../schema/index.js';
import { answerDecisions, isAnswer } from './answer-decisions.store.js';
import { readEvent, type IncomingEvent } from './incoming-event.js';
import { spendRowsOf, writeSpend } from './run-spend.js';
import { foldChanges, inlineResultOf, viewChangeOf } from './view-change.js';

export type Projection =
  | {
      readonly kind: 'applied';
      readonly overGap: boolean;
      /** An event that waits comes next. (One that is being parked at this very moment is found when it is overdue.) */
      readonly nextWaits: boolean;
    }
  | { readonly kind: 'duplicate' }
  /** An old fact that was missing: the history has it now. */
  | { readonly kind: 'filled_in' }
  | { readonly kind: 'parked'; readonly reason: Extract<ParkReason, 'gap' | 'unknown_run'> };

interface Outcome {
  readonly outcome: 'applied' | 'duplicate' | 'late' | 'gap' | 'unknown_run';
  readonly overGap: boolean;
  readonly nextWaits: boolean;
}

export class ProjectEventsStore {
  private readonly batcher: KeyedBatcher<IncomingEvent, Outcome>;

  constructor(
    private readonly database: Database,
    private readonly metrics: Metrics,
  ) {
    this.batcher = new KeyedBatcher<IncomingEvent, Outcome>({
      name: 'api.project-events',
      keyOf: (event) => `${event.tenant} ${event.runUuid}`,
      write: (events) => this.write(events),
    });
  }

  async project(event: IncomingEvent): Promise<Projection> {
    const { outcome, overGap, nextWaits } = await this.batcher.push(event);
    switch (outcome) {
      case 'applied':
        return { kind: 'applied', overGap, nextWaits };
      case 'duplicate':
        return { kind: 'duplicate' };
      case 'gap':
      case 'unknown_run':
        return { kind: 'parked', reason: outcome };
      case 'late':
        await this.database.transaction((tx) => fillIn(tx, event)); // (P3)
        return { kind: 'filled_in' };
    }
  }

  /** The processor was asked, and this is still what it said last. */
  async confirm({ tenant, runUuid, version }: IncomingEvent): Promise<void> {
    await this.database.query(CONFIRM, [tenant, runUuid, version]);
  }

  private async write(events: readonly IncomingEvent[]): Promise<Outcome[]> {
    const overdue = events.filter((event) => event.overGap);
    if (overdue.length > 0) await this.learnRuns(overdue);
    pauseAt('projection.before-commit');
    const outcomes = await this.commit(events);
    pauseAt('projection.after-commit');
    return outcomes;
  }

  private async commit(events: readonly IncomingEvent[]): Promise<Outcome[]> {
    if (!events.some(isAnswer)) return apply(this.database, events);
    const { outcomes, answered } = await this.database.transaction(async (tx) => {
      const outcomes = await apply(tx, events);
      const taken = events.filter((_, index) => isTaken(outcomes[index]));
      return { outcomes, answered: await answerDecisions(tx, taken) }; // (P5)
    });
    for (const each of answered) this.metrics.add('holdfast_decisions_total', each);
    return outcomes;
  }

  /** A run that the api never heard of, whose event nobody else explains: it exists, and its events say what it is. */
  private async learnRuns(events: readonly IncomingEvent[]): Promise<void> {
    const column = <T>(pick: (event: IncomingEvent) => T) => events.map(pick);
    await this.database.query(LEARN, [
      column((event) => event.tenant),
      column((event) => event.runUuid),
      column((event) => event.event.data.workflow),
      column((event) => event.event.data.workflowVersion),
      column((event) => event.event.data.reference ?? null),
      column((event) => readableJson(event.event.data.labels)),
      column((event) => event.event.data.attempt),
      column((event) => event.event.data.maxAttempts),
      column((event) => event.event.data.occurredAt),
    ]);
  }
}

/** Each event to its run, or to the parked ones; outcomes in the order of the events. */
async function apply(sql: Sql, events: readonly IncomingEvent[]): Promise<Outcome[]> {
  const column = <T>(pick: (event: IncomingEvent) => T) => events.map(pick);
  const { rows } = await sql.query<Outcome>(APPLY, [
    column((event) => event.tenant),
    column((event) => event.runUuid),
    column((event) => event.version),
    column((event) => event.eventId),
    column((event) => event.type),
    column((event) => event.event.data.status),
    column((event) => event.event.data.occurredAt),
    column((event) => JSON.stringify(event.body)),
    column((event) => readableJson(viewChangeOf(event.event))),
    column((event) => wholeJson(inlineResultOf(event.event))),
    column((event) => event.overGap),
    column((event) => event.position.topic),
    column((event) => event.position.partition),
    column((event) => event.position.offset),
    column((event) => readableOrNull(spendRowsOf(event.event.data))),
  ]);
  return rows;
}

/** Parked events come again. */
function isTaken(outcome: Outcome | undefined): boolean {
  return outcome !== undefined && outcome.outcome !== 'gap' && outcome.outcome !== 'unknown_run';
}

async function fillIn(tx: Tx, event: IncomingEvent): Promise<void> {
  const locked = await tx.query(LOCK_RUN, [event.tenant, event.runUuid]);
  if (locked.rowCount === 0) return; // (P7)
  const { data } = event.event;
  await tx.query(DELETE_PARKED, [event.tenant, event.runUuid, event.version]);
  const filled = await tx.query(INSERT_HISTORY, [
    event.tenant,
    event.runUuid,
    event.version,
    event.eventId,
    event.type,
    data.status,
    data.occurredAt,
    JSON.stringify(event.body),
  ]);
  if (filled.rowCount === 0) return; // a rival brought the same event
  const { rows } = await tx.query<HistoryRow>(READ_HISTORY, [event.tenant, event.runUuid]);
  const facts = rows.flatMap((row) => {
    const read = readEvent({ ...row, position: event.position });
    return read.kind === 'event' ? [read.event.event] : [];
  });
  const result = facts.map(inlineResultOf).find((each) => each !== undefined);
  const change = readableJson(foldChanges(facts.map(viewChangeOf)));
  await tx.query(REFOLD, [event.tenant, event.runUuid, change, wholeJson(result)]);
  const told = facts.findLast((fact) => spendRowsOf(fact.data) !== undefined)?.data;
  if (told === undefined) return;
  const spend = readableOrNull(spendRowsOf(told));
  await tx.query(SPEND, [event.tenant, event.runUuid, told.version, spend]); // (P9)
}

interface HistoryRow {
  readonly id: string;
  readonly type: string;
  readonly data: unknown;
}

/** JSON that is stored as it is (P4). */
function wholeJson(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

/** JSON that SQL may look into (P4). */
function readableJson(value: object): string {
  const json = JSON.stringify(value);
  return mayBeUnreadable.test(json) ? JSON.stringify(value, cleaned) : json;
}

/** As JSON.stringify writes U+0000 and half surrogate pairs; a replacer for every value costs ten times as much. */
const mayBeUnreadable = /\\u(0000|d[89a-f])/;

function cleaned(_key: string, part: unknown): unknown {
  return typeof part === 'string' ? part.replaceAll('\u0000', '\ufffd').toWellFormed() : part;
}

function readableOrNull(value: object | undefined): string | null {
  return value === undefined ? null : readableJson(value);
}

/** Sets the columns that `$change` names; the rest keep what row `r` has. */
const setView = (change: string) => `
  (status, attempt, max_attempts, waiting, next_attempt_at, failure, progress, usage, cost, result_ref,
   ended_at) =
  (SELECT p.status, p.attempt, p.max_attempts, p.waiting, p.next_attempt_at, p.failure, p.progress, p.usage, p.cost,
          p.result_ref, p.ended_at
   FROM json_populate_record(r, ${change}) AS p)`;

/** The silence is over. */
const MOVED = 'moved_at = now(), asks = 0, asked_at = NULL, confirmed_at = NULL';

/** Not EXISTS: where a plan is made while the table is empty, Postgres would read all of it into a hash (D6 of libs/postgres). */
const inHistory = (event: string) => `
  (SELECT true FROM api.run_events h
   WHERE h.tenant = ${event}.tenant AND h.run_id = ${event}.run_id AND h.version = ${event}.version) IS NOT NULL`;

const APPLY = hotStatement(
  'api.project-events.apply',
  `WITH incoming AS (
     SELECT * FROM unnest($1::text[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
                          $8::json[], $9::json[], $10::json[], $11::bool[], $12::text[], $13::int[], $14::bigint[],
                          $15::json[])
       WITH ORDINALITY AS i(tenant, run_id, version, event_id, type, status, occurred_at, body, change, result, over_gap,
                            topic, "partition", "offset", spend, place)
   ), run AS (
     SELECT r.tenant, r.id, r.version, r.expired_at FROM incoming i JOIN api.runs r ON r.tenant = i.tenant AND r.id = i.run_id
     ORDER BY r.tenant, r.id FOR NO KEY UPDATE OF r
   ), applied AS (
     UPDATE api.runs r
     SET version = i.version,
         started_at = COALESCE(r.started_at, (i.change ->> 'started_at')::timestamptz),
         ${MOVED},
         result = COALESCE(i.result, r.result),
         ${setView('i.change')}
     FROM incoming i JOIN run ON run.tenant = i.tenant AND run.id = i.run_id
     WHERE r.tenant = i.tenant AND r.id = i.run_id
       AND (run.version = i.version - 1 OR (i.over_gap AND run.version < i.version))
       AND r.version = run.version
     RETURNING r.tenant, r.id, i.place, i.version > run.version + 1 AS over_gap
   ), history AS (
     INSERT INTO api.run_events (tenant, run_id, version, event_id, type, status, occurred_at, body)
     SELECT i.tenant, i.run_id, i.version, i.event_id, i.type, i.status, i.occurred_at, i.body
     FROM incoming i JOIN applied USING (place)
     ON CONFLICT DO NOTHING
   ), spent AS (${writeSpend('FROM incoming i JOIN applied USING (place)', '0')}
   ), parked AS (
     INSERT INTO api.parked_events (topic, "partition", "offset", reason, tenant, run_id, version, event_id, type, body)
     SELECT i.topic, i."partition", i."offset", CASE WHEN run.id IS NULL THEN 'unknown_run' ELSE 'gap' END,
            i.tenant, i.run_id, i.version, i.event_id, i.type, i.body
     FROM incoming i LEFT JOIN run ON run.tenant = i.tenant AND run.id = i.run_id
     WHERE NOT EXISTS (SELECT FROM applied WHERE applied.place = i.place)
       AND (run.id IS NULL OR i.version > run.version)
     ON CONFLICT DO NOTHING
   ), taken_up AS (
     DELETE FROM api.parked_events p USING incoming i
     WHERE p.tenant = i.tenant AND p.run_id = i.run_id AND p.version = i.version AND p.reason IN ('gap', 'unknown_run')
       AND (EXISTS (SELECT FROM applied WHERE applied.place = i.place) OR ${inHistory('i')})
   )
   SELECT CASE
            WHEN applied.place IS NOT NULL THEN 'applied'
            WHEN run.id IS NULL THEN 'unknown_run'
            WHEN i.version > run.version THEN 'gap'
            WHEN run.expired_at IS NOT NULL OR ${inHistory('i')} THEN 'duplicate'
            ELSE 'late'
          END AS outcome,
          COALESCE(applied.over_gap, false) AS "overGap",
          applied.place IS NOT NULL AND (
            SELECT true FROM api.parked_events p
            WHERE p.tenant = i.tenant AND p.run_id = i.run_id AND p.version = i.version + 1
              AND p.reason IN ('gap', 'unknown_run') LIMIT 1) IS NOT NULL AS "nextWaits"
   FROM incoming i
   LEFT JOIN run ON run.tenant = i.tenant AND run.id = i.run_id
   LEFT JOIN applied USING (place)
   ORDER BY i.place`,
);

const LEARN = statement(
  'api.project-events.learn',
  `INSERT INTO api.runs (tenant, id, workflow, workflow_version, reference, labels, attempt, max_attempts, created_at,
                         documents, priority, status)
   SELECT *, '[]'::jsonb, 'interactive', 'queued'
   FROM unnest($1::text[], $2::uuid[], $3::text[], $4::int[], $5::text[], $6::jsonb[], $7::int[], $8::int[],
               $9::timestamptz[])
   ON CONFLICT DO NOTHING`,
);

const CONFIRM = statement(
  'api.project-events.confirm',
  `UPDATE api.runs SET confirmed_at = now() WHERE tenant = $1 AND id = $2 AND version = $3 AND asks > 0`,
);

const LOCK_RUN = statement(
  'api.project-events.lock-run',
  'SELECT FROM api.runs WHERE tenant = $1 AND id = $2 AND expired_at IS NULL FOR NO KEY UPDATE',
);

const DELETE_PARKED = statement(
  'api.project-events.delete-parked',
  `DELETE FROM api.parked_events
   WHERE tenant = $1 AND run_id = $2 AND version = $3 AND reason IN ('gap', 'unknown_run')`,
);

const INSERT_HISTORY = statement(
  'api.project-events.insert-history',
  `INSERT INTO api.run_events (tenant, run_id, version, event_id, type, status, occurred_at, body)
   VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
);

const READ_HISTORY = statement(
  'api.project-events.read-history',
  `SELECT event_id AS id, type, body AS data FROM api.run_events WHERE tenant = $1 AND run_id = $2 ORDER BY version`,
);

const SPEND = statement(
  'api.project-events.spend',
  writeSpend(
    'FROM (SELECT $1::text AS tenant, $2::uuid AS run_id, $3::int AS version, $4::json AS spend) i',
    '0',
  ),
);

const REFOLD = statement(
  'api.project-events.refold',
  `UPDATE api.runs r
   SET revision = r.revision + 1,
       ${MOVED},
       started_at = (SELECT p.started_at FROM json_populate_record(r, $3::json) AS p),
       result = COALESCE($4::json, r.result),
       ${setView('$3::json')}
   WHERE r.tenant = $1 AND r.id = $2`,
);
