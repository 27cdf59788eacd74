/**
 * Every change of a run after its admission goes through `changeExecutions`: row, attempt, events and messages in the caller's
 * transaction, many runs at once.
 *
 * (X1) Rows are locked in the order of run ids before they are changed (`lockExecutions`).
 * (X2) A change states the fence under which it is made; a row with another fence, or not in the expected status, is left
 *      alone. Whoever has lost a run can change nothing of it.
 * (X3) `version` grows by one for each event, in the row lock; the outbox draws its `seq` after it. So a run's events leave
 *      in the order of their versions.
 * (X4) A change that takes the run out of its owner's hands raises the fence, of the row and of its calls, so that the owner
 *      can send nothing more.
 * (X5) Only transitions of the domain's table are made: the docs and what callers see are drawn from the same table.
 * (X6) A decision is answered in the transaction that carries it out, before the event of what it did. A run that ends as
 *      cancelled answers every cancel that waits for it.
 * (X7) The row keeps what it has told last, so that the same message can go out again (`repeat-events.store.ts`).
 */
import {
  mayFollow,
  type RunFailure,
  type RunProgress,
  type Waiting,
  type WaitingReason,
} from '#libs/domain';
import type { Outbox, OutboxMessage } from '#libs/messaging';
import {
  bumpCallFences,
  bumpFences,
  noteAcceptedCalls,
  noteLeftovers,
  spendOfRuns,
  type RunSpend,
} from '#libs/openai-gateway';
import { hotStatement, RowRefusedError, statement, type Tx, uuidv7 } from '#libs/postgres';
import {
  FIRST_FENCE,
  publicStatusOf,
  type ExecutionRow,
  type ExecutionStatus,
} from './execution.js';
import {
  pendingDecisions,
  recordAnswers,
  type AnsweredDecision,
  type DecisionAnswer,
} from './decisions.store.js';
import {
  answerMessage,
  answerNameOf,
  deadLetterMessage,
  retryMessage,
  runEventMessage,
  type RunChangeEvent,
} from './run-messages.js';
import { noteUnsettled } from './unsettled-runs.store.js';

export interface ExecutionChange {
  readonly runId: string;
  /** Only a row that stands there under this fence is changed (X2). */
  readonly from: ExecutionStatus;
  readonly fence: bigint;
  readonly to: ExecutionStatus;
  /** What the attempt is said to have ended with, where `to` does not tell; null: `to`. */
  readonly endedAs: 'lease_lost' | 'released' | 'parked' | null;
  /** What it is called; null: nothing to tell. */
  readonly event: RunChangeEvent | null;
  readonly attempt: number;
  readonly tries: number;
  readonly lostLeases: number;
  /** A new dispatch of the same work is counted; where the run has to wait for it, it is sent to a retry tier, too. */
  readonly dispatch: 'same' | 'counted' | 'sent_again';
  /** Until the next attempt, by the database's clock; null: none is due. */
  readonly delayMs: number | null;
  readonly waitingFor: WaitingReason | null;
  /** The same in words for people; null where the reason says enough. */
  readonly because: string | null;
  /** The lane that it waits in from now on, with the place that it has by `seq`; null: the same. */
  readonly model: string | null;
  readonly failure: RunFailure | null;
  /** null keeps what is there. */
  readonly progress: RunProgress | null;
  readonly result: { readonly ref: string; readonly inline: Record<string, unknown> | null } | null;
  /** From now on whoever holds the run ends it as cancelled. */
  readonly requestCancel: boolean;
  /** A redrive: attempts and time are counted from here, and calls that failed before are called again. */
  readonly startAfresh: boolean;
  /** Decisions that this change carries out (X6). */
  readonly answers: readonly DecisionAnswer[];
}

/** What a change of a row starts from. */
export type Standpoint = Pick<
  ExecutionRow,
  'run_id' | 'status' | 'fence' | 'attempt' | 'tries' | 'lost_leases' | 'cancel_requested'
>;

/** The change that leaves a row as it is: spread it, and say what differs. */
export function unchanged(row: Standpoint): ExecutionChange {
  return {
    runId: row.run_id,
    from: row.status,
    fence: row.fence,
    to: row.status,
    endedAs: null,
    event: null,
    attempt: row.attempt,
    tries: row.tries,
    lostLeases: row.lost_leases,
    dispatch: 'same',
    delayMs: null,
    waitingFor: null,
    because: null,
    model: null,
    failure: null,
    progress: null,
    result: null,
    requestCancel: false,
    startAfresh: false,
    answers: [],
  };
}

/** The rows of these runs, locked in order (X1). */
export async function lockExecutions(tx: Tx, runIds: readonly string[]): Promise<ExecutionRow[]> {
  const { rows } = await tx.query<ExecutionRow>(LOCK, [runIds]);
  return rows;
}

/** The same, for an owner: what else is in the row he knows since his claim. */
export async function lockStandpoints(tx: Tx, runIds: readonly string[]): Promise<Standpoint[]> {
  const { rows } = await tx.query<Standpoint>(LOCK_STANDPOINTS, [runIds]);
  return rows;
}

/** Rows must be locked. @returns those that were changed */
export async function changeExecutions(
  tx: Tx,
  outbox: Outbox,
  asked: readonly ExecutionChange[],
): Promise<ExecutionRow[]> {
  if (asked.length === 0) return [];
  asked.forEach(requireAllowed); // (X5)
  const changes = await answeringCancels(tx, asked); // (X6)
  const { rows } = await tx.query<MovedRow>(CHANGE, columnsOf(changes));
  const byRun = new Map(changes.map((change) => [change.runId, change]));
  const changed = rows.map((row) => ({ row, change: byRun.get(row.run_id)! }));
  const left = changed.filter(({ row, change }) => leavesOwner(change, row));
  const fencesOf = (isCompleted: boolean) =>
    left
      .filter(({ row }) => (row.status === 'completed') === isCompleted)
      .map(({ row }) => ({ runId: row.run_id, fence: row.fence }));
  bumpFences(tx, fencesOf(false));
  bumpCallFences(tx, fencesOf(true));
  const leaving = changed.filter(({ row, change }) => mayLeaveCalls(change, row));
  noteLeftovers(
    tx,
    leaving.map(({ row }) => row.run_id),
  );
  const waiting = changed.filter(({ change }) => leavesUnfollowed(change));
  noteAcceptedCalls(
    tx,
    waiting.map(({ row }) => row.run_id),
  );
  const spent = await spendOfEnded(tx, changed);
  noteUnsettled(tx, spent);
  const answered = changed.flatMap(({ row, change }) => answersOf(row, change));
  await recordAnswers(tx, answered);
  outbox.append(
    tx,
    changed.flatMap(({ row, change }) => [
      ...answered.filter(({ answer }) => answer.runId === row.run_id).map(({ message }) => message),
      ...messagesOf(row, change, spent),
    ]),
  );
  return rows;
}

/** Answers decisions that change nothing of their run, ended or not. Rows must be locked. */
export async function answerDecisions(
  tx: Tx,
  outbox: Outbox,
  answers: readonly DecisionAnswer[],
): Promise<void> {
  if (answers.length === 0) return;
  const byRun = [...Map.groupBy(answers, ({ runId }) => runId)];
  const newest = byRun.map(([, own]) => own.at(-1)!);
  const { rows } = await tx.query<ChangedRow>(COUNT_EVENTS, [
    byRun.map(([runId]) => runId),
    byRun.map(([, own]) => own.length),
    newest.map(answerNameOf),
    newest.map(({ decisionId }) => decisionId),
  ]); // (X7)
  const answered = rows.flatMap((row) => {
    const own = answers.filter(({ runId }) => runId === row.run_id);
    return answersOf(row, { ...unchanged(row), answers: own });
  });
  await recordAnswers(tx, answered);
  outbox.append(
    tx,
    answered.map(({ message }) => message),
  );
}

/** A bug: somebody decided what no run may do. Nothing is committed. */
export class RunTransitionForbiddenError extends RowRefusedError {
  override readonly name = 'RunTransitionForbiddenError';
  readonly code = 'run_transition_forbidden';
  constructor(from: ExecutionStatus, to: ExecutionStatus) {
    super(`a run may not go from ${from} to ${to}: see run-transitions.ts`);
  }
}

function requireAllowed({ from, to }: ExecutionChange): void {
  if (mayFollow(publicStatusOf(from), publicStatusOf(to))) return;
  throw new RunTransitionForbiddenError(from, to);
}

/** Something was told: the id of it is there. */
type ChangedRow = ExecutionRow & { readonly now: Date; readonly newest_event_id: string };

/** What the change tells last, and under which id (X7); null: it tells nothing. */
function newestEventOf({ event, answers }: ExecutionChange) {
  if (event !== null) return { name: event, id: uuidv7() };
  const answer = answers.at(-1);
  return answer === undefined ? null : { name: answerNameOf(answer), id: answer.decisionId };
}

/** `worker`: who held the run until this change; null: nobody, or he goes on. */
type MovedRow = ChangedRow & { readonly worker: string | null };

/** (X6) */
async function answeringCancels(
  tx: Tx,
  changes: readonly ExecutionChange[],
): Promise<readonly ExecutionChange[]> {
  const ending = changes.filter(({ to }) => to === 'cancelled').map(({ runId }) => runId);
  const pending = await pendingDecisions(tx, ending);
  return changes.map((change) => {
    const own = pending.filter(({ runId }) => runId === change.runId);
    if (own.length === 0) return change;
    return { ...change, answers: own.map((decision) => ({ ...decision, refusal: null })) };
  });
}

/** What is decided on comes first: its versions lie before that of the event. */
function answersOf(row: ChangedRow, change: ExecutionChange): AnsweredDecision[] {
  const { now } = row;
  const before = row.version - eventsOf(change);
  return change.answers.map((answer, index) => {
    const version = before + index + 1;
    return { answer, message: answerMessage(answer, row, { version, status: change.from, now }) };
  });
}

function eventsOf({ answers, event }: ExecutionChange): number {
  return answers.length + (event === null ? 0 : 1);
}

function leavesOwner(change: ExecutionChange, row: ExecutionRow): boolean {
  return change.from === 'running' && row.status !== 'running';
}

/** Any end, but for the ordinary one: completed by the first owner. */
function mayLeaveCalls(change: ExecutionChange, row: ExecutionRow): boolean {
  if (row.status === 'failed' || row.status === 'cancelled') return true;
  if (row.status !== 'completed') return false;
  return change.from !== 'running' || row.fence > FIRST_FENCE + 1n;
}

/** Its owner leaves it, and nobody knows when it has the next one: a call whose cancel was not confirmed is not followed. */
function leavesUnfollowed({ from, to, endedAs }: ExecutionChange): boolean {
  return from === 'running' && (endedAs === 'parked' || to === 'needs_review');
}

/** Only events at an end or a stop tell what was used, and what it cost. */
async function spendOfEnded(
  tx: Tx,
  changed: readonly { row: ExecutionRow; change: ExecutionChange }[],
): Promise<ReadonlyMap<string, readonly RunSpend[]>> {
  const told: readonly (RunChangeEvent | null)[] = [
    'RunCompleted',
    'RunFailed',
    'RunCancelled',
    'RunNeedsReview',
  ];
  const ended = changed.filter(({ change }) => told.includes(change.event));
  return spendOfRuns(
    tx,
    ended.map(({ row }) => row.run_id),
  );
}

function messagesOf(
  row: MovedRow,
  change: ExecutionChange,
  spent: ReadonlyMap<string, readonly RunSpend[]>,
): OutboxMessage[] {
  const { now } = row;
  const messages: OutboxMessage[] = [];
  if (change.event !== null) {
    messages.push(
      runEventMessage(change.event, row, {
        id: row.newest_event_id,
        waiting: toldWaiting(row),
        spent: spent.get(row.run_id) ?? [],
        result: change.result?.inline ?? null,
        now,
      }),
    );
  }
  if (change.dispatch === 'sent_again') messages.push(retryMessage(row, now));
  if (change.to === 'needs_review') messages.push(deadLetterMessage(row, row.worker, now));
  return messages;
}

/** As the newest event says it. */
export function toldWaiting(row: ExecutionRow): Waiting | null {
  const { told_waiting_for: reason, told_waiting_until: until } = row;
  const { told_waiting_because: because } = row;
  return (
    reason && { reason, until: until?.toISOString() ?? null, ...(because !== null && { because }) }
  );
}

function columnsOf(changes: readonly ExecutionChange[]): unknown[] {
  const column = <T>(pick: (change: ExecutionChange) => T) => changes.map(pick);
  const newest = changes.map(newestEventOf);
  return [
    column((change) => change.runId),
    column((change) => change.from),
    column((change) => change.fence),
    column((change) => change.to),
    column(eventsOf),
    column((change) => change.attempt),
    column((change) => change.tries),
    column((change) => change.lostLeases),
    column((change) => change.dispatch !== 'same'),
    column((change) => change.delayMs),
    column((change) => jsonOrNull(change.failure)),
    column((change) => jsonOrNull(change.progress)),
    column((change) => change.result?.ref ?? null),
    column((change) => change.requestCancel),
    column((change) => change.startAfresh),
    newest.map((event) => event?.name ?? null),
    newest.map((event) => event?.id ?? null),
    column((change) => change.waitingFor),
    column((change) => change.endedAs ?? change.to),
    column((change) => change.because),
    column((change) => change.model),
  ];
}

function jsonOrNull(value: object | null): string | null {
  return value === null ? null : JSON.stringify(value);
}

const LOCK = hotStatement(
  'processor.executions.lock',
  `SELECT * FROM processor.executions WHERE run_id = ANY($1::uuid[]) ORDER BY run_id FOR NO KEY UPDATE`,
);

const LOCK_STANDPOINTS = hotStatement(
  'processor.executions.lock_standpoints',
  `SELECT run_id, status, fence, attempt, tries, lost_leases, cancel_requested
   FROM processor.executions WHERE run_id = ANY($1::uuid[]) ORDER BY run_id FOR NO KEY UPDATE`,
);

/**
 * An attempt ends with the change that takes the run from its owner. What the later parts need travels with the changed rows: a join
 * back to `c` would compare each row with each.
 */
const CHANGE = hotStatement(
  'processor.executions.change',
  `WITH c AS MATERIALIZED (
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::int[], $6::int[], $7::int[], $8::int[],
                          $9::bool[], $10::float8[], $11::json[], $12::json[], $13::text[], $14::bool[], $15::bool[],
                          $16::text[], $17::uuid[], $18::text[], $19::text[], $20::text[], $21::text[])
       AS c (run_id, from_status, fence, to_status, events, attempt, tries, lost_leases, count_dispatch,
             delay_ms, failure, progress, result_ref, request_cancel, start_afresh, newest_event, newest_event_id, waiting_for,
             ended_as, because, model)
   ), changed AS (
     UPDATE processor.executions e
     SET status = c.to_status,
         version = e.version + c.events,
         attempt = c.attempt,
         tries = c.tries,
         lost_leases = c.lost_leases,
         dispatch = e.dispatch + c.count_dispatch::int,
         hop = CASE WHEN c.count_dispatch THEN 0 ELSE e.hop END,
         model = coalesce(c.model, e.model),
         parked = c.to_status = 'ready'
                  AND (c.ended_as = 'parked' OR (e.status = 'ready' AND e.parked AND NOT c.request_cancel)),
         first_failed_at = CASE WHEN c.start_afresh OR (c.ended_as = 'parked' AND c.waiting_for = 'outage') THEN NULL
                                WHEN c.failure IS NOT NULL THEN coalesce(e.first_failed_at, now()) ELSE e.first_failed_at END,
         next_attempt_at = CASE WHEN c.to_status IN ('retrying', 'ready')
                                THEN now() + make_interval(secs => c.delay_ms / 1000.0) END,
         failure = CASE WHEN c.to_status = 'completed' THEN NULL ELSE coalesce(c.failure, e.failure) END,
         progress = coalesce(c.progress, e.progress),
         result_ref = coalesce(c.result_ref, e.result_ref),
         cancel_requested = (e.cancel_requested OR c.request_cancel) AND c.to_status <> 'cancelled',
         redriven_fence = CASE WHEN c.start_afresh THEN e.fence ELSE e.redriven_fence END,
         owner = CASE WHEN c.to_status = 'running' THEN e.owner END,
         lease_until = CASE WHEN c.to_status = 'running' THEN e.lease_until END,
         fence = e.fence + (e.status = 'running' AND c.to_status <> 'running')::int,
         ready_since = CASE WHEN c.to_status = 'ready' AND e.status <> 'ready' THEN now() ELSE e.ready_since END,
         wait_announced = c.to_status = 'ready' AND (c.events > 0),
         newest_event = coalesce(c.newest_event, e.newest_event),
         newest_event_id = coalesce(c.newest_event_id, e.newest_event_id),
         newest_event_at = CASE WHEN c.newest_event IS NULL THEN e.newest_event_at ELSE now() END,
         told_waiting_for = CASE WHEN c.newest_event IS NULL THEN e.told_waiting_for ELSE c.waiting_for END,
         told_waiting_until = CASE WHEN c.newest_event IS NULL THEN e.told_waiting_until
                                   WHEN c.waiting_for IS NOT NULL THEN now() + make_interval(secs => c.delay_ms / 1000.0) END,
         told_waiting_because = CASE WHEN c.newest_event IS NULL THEN e.told_waiting_because ELSE c.because END,
         ended_at = CASE WHEN c.to_status IN ('completed', 'failed', 'cancelled') THEN now() END
     FROM c WHERE e.run_id = c.run_id AND e.status = c.from_status AND e.fence = c.fence
     RETURNING e.*, c.model AS asked_model, c.fence AS held_fence, c.ended_as, c.failure AS told_failure,
       CASE WHEN old.status = 'running' AND new.status <> 'running' THEN old.owner END AS worker
   ), lane AS (
     INSERT INTO processor.lanes (tenant, model)
     SELECT DISTINCT tenant, model FROM changed WHERE asked_model IS NOT NULL ORDER BY 1, 2
     ON CONFLICT DO NOTHING
   ), ended AS (
     UPDATE processor.attempts a SET ended_at = now(), outcome = c.ended_as, failure = c.told_failure
     FROM changed c WHERE c.worker IS NOT NULL AND a.run_id = c.run_id AND a.fence = c.held_fence
   )
   SELECT changed.*, now() AS now FROM changed`,
);

const COUNT_EVENTS = statement(
  'processor.executions.count_events',
  `UPDATE processor.executions e
   SET version = e.version + c.events, newest_event = c.newest_event, newest_event_id = c.newest_event_id,
       newest_event_at = now(), told_waiting_for = NULL, told_waiting_until = NULL, told_waiting_because = NULL
   FROM unnest($1::uuid[], $2::int[], $3::text[], $4::uuid[]) AS c (run_id, events, newest_event, newest_event_id)
   WHERE e.run_id = c.run_id RETURNING e.*, now() AS now`,
);
