/**
 * Messages become rows, many per transaction; only then are their offsets committed. The rows are the inbox.
 *
 * (A1) A message is settled when its transaction has committed, or when it changes nothing.
 * (A2) Rows are locked in the order of run ids, and decided on under the lock: two processors that get the same message (a
 *      rebalance) admit it once.
 * (A3) A hop sends the message on and counts it in one transaction, so that of two copies one hops.
 * (A4) Requests and decisions of one run are one key: a batch never holds two of them, and the second waits for the commit of
 *      the first. So a cancel can't overtake an admission that is on its way.
 * (A5) A run that the api has heard of and this database has not was lost here. It is admitted before a person, with the version
 *      that the api knows: what it did and paid before is not known, and it must not do it again by itself.
 */
import { type Database, hotStatement, KeyedBatcher, statement, type Tx } from '#libs/postgres';
import type { Outbox } from '#libs/messaging';
import { pauseAt } from '#libs/pause-points';
import type { WorkflowCatalogue } from '#libs/workflows';
import {
  changeExecutions,
  lockExecutions,
  ownFailure,
  repeatNewestEvents,
  retryMessage,
  unchanged,
  type ExecutionChange,
  type ExecutionRow,
} from '../schema/index.js';
import {
  applyDecisions,
  applyEarlyDecisions,
  type CheckedDecision,
  type DecisionAdmission,
} from './apply-decisions.store.js';
import { decideAdmission, type Admission, type KnownRun } from './decide-admission.js';
import type { IncomingWork } from './incoming-work.js';
import { NO_INPUT } from './unread-request.js';

/** What lies on the requested topic: work, and what people decide about it. One key, one order: (A4). */
export type Arrival = IncomingWork | CheckedDecision;

export class AdmitRunsStore {
  private readonly batcher: KeyedBatcher<Arrival, Admission | DecisionAdmission>;
  /** Lanes are made once and never deleted: no need to ask again. */
  private readonly knownLanes = new Set<string>();

  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    private readonly workflows: WorkflowCatalogue,
  ) {
    this.batcher = new KeyedBatcher({
      name: 'processor.admit-runs',
      keyOf: (arrival: Arrival) => arrival.runId,
      write: (arrivals) => this.write(arrivals),
    });
  }

  admit(arrival: Arrival): Promise<Admission | DecisionAdmission> {
    return this.batcher.push(arrival);
  }

  private async write(arrivals: readonly Arrival[]): Promise<(Admission | DecisionAdmission)[]> {
    const works = arrivals.filter((arrival): arrival is IncomingWork => !isDecision(arrival));
    const decisions = arrivals.filter(isDecision);
    await this.makeLanes(works);
    const admissions = await this.database.transaction(async (tx) => {
      const runIds = arrivals.map((arrival) => arrival.runId);
      const rows = await lockExecutions(tx, runIds); // (A2)
      const now = rows.length > 0 ? await databaseNow(tx) : NOBODY_WAITS;
      const known = new Map(rows.map((row) => [row.run_id, row]));
      const decided = works.map((work) => ({
        work,
        admission: decideAdmission(knownOf(known.get(work.runId), now), work),
      }));
      const forgotten = worksWith(decided, 'insert_forgotten').map(beforeAPerson); // (A5)
      const fresh = [...worksWith(decided, 'insert'), ...forgotten].sort(byRunId);
      const inserted = await insertNew(tx, fresh);
      const ended = await applyEarlyDecisions(tx, this.outbox, inserted);
      const alive = inserted.filter((row) => !ended.has(row.run_id));
      await putBeforeAPerson(tx, this.outbox, alive, fresh);
      await makeReady(tx, worksWith(decided, 'make_ready'));
      await hop(tx, this.outbox, worksWith(decided, 'hop'), now); // (A3)
      const brought = worksWith(decided, 'bring_request');
      await bringRequests(tx, brought);
      const asked = [...worksWith(decided, 'repeat'), ...brought.filter(isReemitted)]
        .map(({ runId }) => known.get(runId)!)
        .sort((a, b) => (a.run_id < b.run_id ? -1 : 1));
      await repeatNewestEvents(tx, this.outbox, asked);
      const { outbox, workflows } = this;
      const answered = await applyDecisions(tx, outbox, workflows, known, decisions);
      const byRun = new Map<string, Admission | DecisionAdmission>([
        ...decided.map(({ work, admission }) => [work.runId, admission] as const),
        ...decisions.map(({ runId }, index) => [runId, answered[index]!] as const),
      ]);
      pauseAt('admit.before-commit');
      return runIds.map((runId) => byRun.get(runId)!);
    });
    pauseAt('admit.after-commit');
    return admissions;
  }

  private async makeLanes(works: readonly IncomingWork[]): Promise<void> {
    const lanes = works.map(({ request, model }) => ({ tenant: request.tenant, model }));
    const fresh = lanes.filter((lane) => !this.knownLanes.has(keyOfLane(lane)));
    if (fresh.length === 0) return;
    await this.database.query(MAKE_LANES, [
      fresh.map((lane) => lane.tenant),
      fresh.map((lane) => lane.model),
    ]);
    for (const lane of fresh) this.knownLanes.add(keyOfLane(lane));
  }
}

interface Decided {
  readonly work: IncomingWork;
  readonly admission: Admission;
}

function isDecision(arrival: Arrival): arrival is CheckedDecision {
  return 'decisionId' in arrival;
}

function worksWith(decided: readonly Decided[], kind: Admission['kind']): IncomingWork[] {
  return decided.filter(({ admission }) => admission.kind === kind).map(({ work }) => work);
}

/** (A5) */
function beforeAPerson(work: IncomingWork): IncomingWork {
  const said = { class: 'internal', code: 'run_forgotten', message: FORGOTTEN } as const;
  return { ...work, unworkable: ownFailure(said, work.request.workflow) };
}

const FORGOTTEN =
  'the processor has lost what it knew of this run; redrive it only where it may be done and paid again';

function byRunId(a: IncomingWork, b: IncomingWork): number {
  return a.runId < b.runId ? -1 : 1;
}

function keyOfLane(lane: { tenant: string; model: string }): string {
  return JSON.stringify([lane.tenant, lane.model]);
}

function knownOf(row: ExecutionRow | undefined, now: Date): KnownRun | undefined {
  return (
    row && {
      status: row.status,
      dispatch: row.dispatch,
      hop: row.hop,
      dueInMs: row.next_attempt_at && row.next_attempt_at.getTime() - now.getTime(),
      lacksRequest: row.status === 'needs_review' && row.request.inputRef === NO_INPUT,
    }
  );
}

/** Stands for the database's clock where no row is known whose time could be compared with it. */
const NOBODY_WAITS = new Date(0);

async function databaseNow(tx: Tx): Promise<Date> {
  const { rows } = await tx.query<{ now: Date }>(NOW);
  return rows[0]!.now;
}

async function insertNew(tx: Tx, works: readonly IncomingWork[]): Promise<ExecutionRow[]> {
  if (works.length === 0) return [];
  const column = <T>(pick: (work: IncomingWork) => T) => works.map(pick);
  const { rows } = await tx.query<ExecutionRow>(INSERT, [
    column((work) => work.runId),
    column((work) => work.request.tenant),
    column((work) => work.model),
    column((work) => (work.request.priority === 'interactive' ? 0 : 1)),
    column((work) => work.request.workflow),
    column((work) => work.request.workflowVersion),
    column((work) => JSON.stringify(work.request)),
    column((work) => work.traceparent),
    column((work) => JSON.stringify(work.origin)),
    column((work) => work.dispatch),
    column((work) => work.maxAttempts),
    column((work) => work.request.deadlineAt ?? null),
    column((work) => work.seenVersion ?? 0),
  ]);
  return rows;
}

/** What this build can't carry is known to it all the same, and visible. */
async function putBeforeAPerson(
  tx: Tx,
  outbox: Outbox,
  inserted: readonly ExecutionRow[],
  works: readonly IncomingWork[],
): Promise<void> {
  const failures = new Map(works.map(({ runId, unworkable }) => [runId, unworkable]));
  const changes = inserted.flatMap((row): ExecutionChange[] => {
    const failure = failures.get(row.run_id) ?? null;
    if (failure === null) return [];
    return [{ ...unchanged(row), to: 'needs_review', event: 'RunNeedsReview', failure }];
  });
  await changeExecutions(tx, outbox, changes);
}

function isReemitted({ seenVersion }: IncomingWork): boolean {
  return seenVersion !== null;
}

async function bringRequests(tx: Tx, works: readonly IncomingWork[]): Promise<void> {
  if (works.length === 0) return;
  const column = <T>(pick: (work: IncomingWork) => T) => works.map(pick);
  await tx.query(BRING_REQUESTS, [
    column((work) => work.runId),
    column((work) => work.model),
    column((work) => (work.request.priority === 'interactive' ? 0 : 1)),
    column((work) => work.request.workflow),
    column((work) => work.request.workflowVersion),
    column((work) => JSON.stringify(work.request)),
    column((work) => work.maxAttempts),
    column((work) => work.request.deadlineAt ?? null),
  ]);
}

async function makeReady(tx: Tx, works: readonly IncomingWork[]): Promise<void> {
  if (works.length === 0) return;
  await tx.query(MAKE_READY, [works.map((work) => work.runId)]);
}

async function hop(
  tx: Tx,
  outbox: Outbox,
  works: readonly IncomingWork[],
  now: Date,
): Promise<void> {
  if (works.length === 0) return;
  const { rows } = await tx.query<ExecutionRow>(HOP, [works.map((work) => work.runId)]);
  outbox.append(
    tx,
    rows.map((row) => retryMessage(row, now)),
  );
}

const NOW = statement('processor.now', 'SELECT clock_timestamp() AS now');

const MAKE_LANES = hotStatement(
  'processor.lanes.make',
  `INSERT INTO processor.lanes (tenant, model)
   SELECT DISTINCT tenant, model FROM unnest($1::text[], $2::text[]) AS l (tenant, model) ORDER BY 1, 2
   ON CONFLICT DO NOTHING`,
);

const INSERT = hotStatement(
  'processor.executions.insert',
  `INSERT INTO processor.executions
     (run_id, tenant, model, priority, workflow, workflow_version, request, traceparent, origin, status, dispatch, max_attempts,
      deadline_at, version)
   SELECT run_id, tenant, model, priority, workflow, workflow_version, request, traceparent, origin, 'ready', dispatch,
     max_attempts, deadline_at, version
   FROM unnest($1::uuid[], $2::text[], $3::text[], $4::smallint[], $5::text[], $6::int[], $7::json[], $8::text[], $9::json[],
               $10::int[], $11::int[], $12::timestamptz[], $13::int[])
     AS w (run_id, tenant, model, priority, workflow, workflow_version, request, traceparent, origin, dispatch, max_attempts,
           deadline_at, version)
   ORDER BY run_id
   ON CONFLICT DO NOTHING
   RETURNING *`,
);

/** Rows are locked and decided on: no condition but the id. */
const MAKE_READY = statement(
  'processor.executions.make_ready',
  `UPDATE processor.executions SET status = 'ready', ready_since = now(), wait_announced = false
   WHERE run_id = ANY($1::uuid[])`,
);

const BRING_REQUESTS = statement(
  'processor.executions.bring_requests',
  `UPDATE processor.executions e
   SET model = w.model, priority = w.priority, workflow = w.workflow, workflow_version = w.workflow_version,
       request = w.request, max_attempts = w.max_attempts, deadline_at = w.deadline_at
   FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::text[], $5::int[], $6::json[], $7::int[], $8::timestamptz[])
     AS w (run_id, model, priority, workflow, workflow_version, request, max_attempts, deadline_at)
   WHERE e.run_id = w.run_id`,
);

const HOP = statement(
  'processor.executions.hop',
  `UPDATE processor.executions SET hop = hop + 1 WHERE run_id = ANY($1::uuid[]) RETURNING *`,
);
