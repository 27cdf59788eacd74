/**
 * Carries out what people decided, or stores it for whoever can; in the transaction that admits, with the rows locked.
 *
 * (Y1) Decided on under the lock of the run's row, so that of a decision and whatever else moves the run one comes first.
 * (Y2) A cancel stops the run's calls in the same transaction: none is sent from its commit on. Effects look at the run's row.
 * (Y3) A run with an open call or effect is not ended here. Its owner, or the next one, closes it first.
 * (Y4) A decision about a run that is not known is kept. It is met by the run's request, which lies in the same partition: so
 *      the two are never decided on at once.
 */
import {
  decideDecision,
  decideEarlyDecision,
  type DecidedTrigger,
  type DecisionRefusal,
  type DecisionRuling,
} from '#libs/domain';
import type { Outbox } from '#libs/messaging';
import { giveUpUnknownCalls, runsWithOpenCalls, stopCalls } from '#libs/openai-gateway';
import { statement, type Tx } from '#libs/postgres';
import type { WorkflowCatalogue } from '#libs/workflows';
import {
  answerDecisions,
  asRepeat,
  changeExecutions,
  findDecisions,
  ownFailure,
  pendingDecisions,
  publicStatusOf,
  runsWithOpenEffects,
  sendEffectsAgain,
  storeDecisions,
  unchanged,
  type DecisionAnswer,
  type ExecutionChange,
  type ExecutionRow,
} from '../schema/index.js';
import type { GivenResult } from './given-results.store.js';
import type { IncomingDecision } from './incoming-decision.js';

/** A decision with what is known of the result that it gives. */
export interface CheckedDecision extends IncomingDecision {
  readonly result: GivenResult;
}

/** What became of a decision, for whoever has to be woken. */
export type DecisionAdmission =
  | { readonly kind: 'answered'; readonly answer: 'applied' | DecisionRefusal }
  /** It was answered before, and the answer goes out again. */
  | { readonly kind: 'repeated' }
  /** The run may be claimed: it was redriven, or a cancel has calls to close. */
  | { readonly kind: 'sent_on'; readonly answer: 'applied' | null }
  /** The run's owner learns of it with the next renewal of his lease. */
  | { readonly kind: 'left_to_owner' }
  /** Kept until the run's request comes. */
  | { readonly kind: 'kept' }
  /** It came before, and waits for its answer. */
  | { readonly kind: 'known' }
  /** It speaks for another tenant than the run's. */
  | { readonly kind: 'foreign' };

interface Ruled {
  readonly decision: CheckedDecision;
  readonly row: ExecutionRow | undefined;
  readonly ruling: DecisionRuling;
}

/** At most one decision of each run. @returns what became of each, in their order */
export async function applyDecisions(
  tx: Tx,
  outbox: Outbox,
  workflows: WorkflowCatalogue,
  rows: ReadonlyMap<string, ExecutionRow>,
  decisions: readonly CheckedDecision[],
): Promise<DecisionAdmission[]> {
  if (decisions.length === 0) return [];
  const stored = await findDecisions(tx, decisions);
  const known = new Map(stored.map((each) => [each.runId, each]));
  outbox.append(
    tx,
    stored.flatMap(({ answered }) => (answered === null ? [] : [asRepeat(answered)])),
  );
  const isForeign = ({ runId, tenant }: CheckedDecision) =>
    (rows.get(runId)?.tenant ?? tenant) !== tenant;
  const fresh = decisions.filter((each) => !known.has(each.runId) && !isForeign(each));
  const ruled = await ruleOn(tx, workflows, rows, fresh);
  await storeDecisions(tx, fresh);
  await carryOut(tx, outbox, workflows, ruled);
  const ruling = new Map(ruled.map((each) => [each.decision.runId, each.ruling]));
  return decisions.map((decision): DecisionAdmission => {
    const before = known.get(decision.runId);
    if (before !== undefined) return { kind: before.answered === null ? 'known' : 'repeated' };
    const now = ruling.get(decision.runId);
    return now === undefined ? { kind: 'foreign' } : admissionOf(now);
  });
}

/** What was decided about runs before they were known (Y4). @returns those that have ended by it */
export async function applyEarlyDecisions(
  tx: Tx,
  outbox: Outbox,
  inserted: readonly ExecutionRow[],
): Promise<ReadonlySet<string>> {
  const early = await pendingDecisions(
    tx,
    inserted.map((row) => row.run_id),
  );
  const rulings = early.map((decision) => ({
    decision,
    ruling: decideEarlyDecision(decision.decision),
  }));
  const refused = rulings.flatMap(({ decision, ruling }): DecisionAnswer[] =>
    ruling.kind === 'refuse' ? [{ ...decision, refusal: ruling.code }] : [],
  );
  await answerDecisions(tx, outbox, refused);
  const cancelled = new Set(
    rulings.flatMap(({ decision, ruling }) => (ruling.kind === 'apply' ? [decision.runId] : [])),
  );
  const ending = inserted.filter((row) => cancelled.has(row.run_id));
  await changeExecutions(tx, outbox, ending.map(cancelledNow));
  return cancelled;
}

async function ruleOn(
  tx: Tx,
  workflows: WorkflowCatalogue,
  rows: ReadonlyMap<string, ExecutionRow>,
  decisions: readonly CheckedDecision[],
): Promise<Ruled[]> {
  const cancels = decisions.filter(({ decision }) => decision === 'cancel');
  const cancelled = cancels.map(({ runId }) => runId);
  const withOpenCalls = await runsWithOpenCalls(tx, cancelled);
  const withOpenEffects = await runsWithOpenEffects(tx, cancelled);
  return decisions.map((decision) => {
    const row = rows.get(decision.runId);
    const ruling = decideDecision({
      decision: decision.decision,
      status: row ? publicStatusOf(row.status) : null,
      hasOpenCall: withOpenCalls.has(decision.runId) || withOpenEffects.has(decision.runId),
      hasWorkflow: row !== undefined && workflowOf(row, workflows) !== undefined,
      result: decision.result.kind,
    });
    return { decision, row, ruling };
  }); // (Y1)
}

async function carryOut(
  tx: Tx,
  outbox: Outbox,
  workflows: WorkflowCatalogue,
  ruled: readonly Ruled[],
): Promise<void> {
  const changes: ExecutionChange[] = [];
  const answers: DecisionAnswer[] = [];
  for (const { decision, row, ruling } of ruled) {
    if (row === undefined) continue;
    const answer = { ...decision, refusal: null };
    switch (ruling.kind) {
      case 'apply':
        changes.push(changeBy(ruling.trigger, row, decision, answer));
        break;
      case 'tell_owner':
      case 'close_calls_first':
        changes.push(cancelRequested(row));
        break;
      case 'already_so':
        answers.push(answer);
        break;
      case 'refuse':
        answers.push({ ...answer, refusal: ruling.code });
        break;
      case 'keep_for_request':
        break;
    }
  }
  const stopped = changes.filter(({ to, requestCancel }) => requestCancel || to === 'cancelled');
  await stopCalls(tx, runIdsOf(stopped)); // (Y2)
  const redriven = changes.filter(({ startAfresh }) => startAfresh);
  await giveUpUnknownCalls(tx, runIdsOf(redriven));
  await sendEffectsAgain(tx, runIdsOf(redriven));
  await putIntoLanes(tx, workflows, ruled, redriven);
  await setBudgets(tx, ruled, redriven);
  await changeExecutions(tx, outbox, changes);
  await answerDecisions(tx, outbox, answers);
}

function changeBy(
  trigger: DecidedTrigger,
  row: ExecutionRow,
  { reason, result }: CheckedDecision,
  answer: DecisionAnswer,
): ExecutionChange {
  const base: ExecutionChange = { ...unchanged(row), answers: [answer] };
  switch (trigger) {
    case 'cancelled':
      return cancelledNow(row);
    case 'redriven':
      return {
        ...base,
        to: 'ready',
        event: 'RunQueued',
        dispatch: 'counted',
        attempt: 1,
        tries: 0,
        lostLeases: 0,
        startAfresh: true,
      };
    case 'discarded': {
      const message = (reason ?? '').slice(0, MAX_REASON_CHARS);
      const said = { class: 'discarded', code: 'discarded', message } as const;
      return {
        ...base,
        to: 'failed',
        event: 'RunFailed',
        failure: ownFailure(said, row.workflow),
      };
    }
    case 'completed_by_hand':
      return {
        ...base,
        to: 'completed',
        event: 'RunCompleted',
        result: result.kind === 'fits' ? result : null,
      };
  }
}

/** Its answer is added with those of all cancels that wait: see (X6). */
function cancelledNow(row: ExecutionRow): ExecutionChange {
  return { ...unchanged(row), to: 'cancelled', event: 'RunCancelled' };
}

/** (Y3) */
function cancelRequested(row: ExecutionRow): ExecutionChange {
  const base: ExecutionChange = { ...unchanged(row), requestCancel: true };
  if (row.status === 'running') return base;
  const isWaiting = row.status !== 'ready';
  return {
    ...base,
    to: 'ready',
    event: isWaiting ? 'RunQueued' : null,
    dispatch: isWaiting ? 'counted' : 'same',
  };
}

/** A run that no build could carry when it came was put into no lane. */
async function putIntoLanes(
  tx: Tx,
  workflows: WorkflowCatalogue,
  ruled: readonly Ruled[],
  redriven: readonly ExecutionChange[],
): Promise<void> {
  const moving = new Set(runIdsOf(redriven));
  for (const { row } of ruled) {
    const workflow = row && moving.has(row.run_id) ? workflowOf(row, workflows) : undefined;
    if (!row || !workflow || workflow.model === row.model) continue;
    const maxAttempts = workflow.retry.maxAttempts ?? row.max_attempts;
    await tx.query(MAKE_LANE, [row.tenant, workflow.model]);
    await tx.query(PUT_INTO_LANE, [row.run_id, workflow.model, maxAttempts]);
  }
}

/** Budgets that redrives bring along. */
async function setBudgets(
  tx: Tx,
  ruled: readonly Ruled[],
  redriven: readonly ExecutionChange[],
): Promise<void> {
  const moving = new Set(runIdsOf(redriven));
  const raised = ruled.flatMap(({ decision: { runId, budget }, row }) =>
    row && budget !== null && moving.has(runId)
      ? [{ runId, request: { ...row.request, budget } }]
      : [],
  );
  if (raised.length === 0) return;
  await tx.query(SET_BUDGETS, [
    raised.map(({ runId }) => runId),
    raised.map(({ request }) => JSON.stringify(request)),
  ]);
}

function admissionOf(ruling: DecisionRuling): DecisionAdmission {
  switch (ruling.kind) {
    case 'apply':
      return { kind: ruling.trigger === 'redriven' ? 'sent_on' : 'answered', answer: 'applied' };
    case 'refuse':
      return { kind: 'answered', answer: ruling.code };
    case 'already_so':
      return { kind: 'answered', answer: 'applied' };
    case 'close_calls_first':
      return { kind: 'sent_on', answer: null };
    case 'tell_owner':
      return { kind: 'left_to_owner' };
    case 'keep_for_request':
      return { kind: 'kept' };
  }
}

function workflowOf(row: ExecutionRow, workflows: WorkflowCatalogue) {
  return workflows.find(row.workflow, row.workflow_version);
}

function runIdsOf(changes: readonly ExecutionChange[]): string[] {
  return changes.map(({ runId }) => runId);
}

const MAX_REASON_CHARS = 1_000;

const MAKE_LANE = statement(
  'processor.lanes.make_one',
  `INSERT INTO processor.lanes (tenant, model) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
);

const SET_BUDGETS = statement(
  'processor.executions.set_budgets',
  `UPDATE processor.executions e SET request = b.request
   FROM unnest($1::uuid[], $2::json[]) AS b (run_id, request) WHERE e.run_id = b.run_id`,
);

const PUT_INTO_LANE = statement(
  'processor.executions.put_into_lane',
  `UPDATE processor.executions SET model = $2, max_attempts = $3 WHERE run_id = $1`,
);
