/**
 * One item of a step that calls the model: its call, what the ledger knows of it, and what is asked once more.
 *
 * (U1) A call that is open or unknown is asked for again under its own id, so that the ledger can take it up; only one that
 *      ended without a result gets a new `try`, and only where its class is tried again at all.
 * (U2) An item is done when its reading is saved under our fence. The one call of the last step needs no check-point: the outcome
 *      follows at once under the same fence, and until it is written the ledger keeps the output.
 * (U3) A redrive is a person's word to call again: what ended without a usable result before it gets a new `try`, whatever its
 *      class. A stored output is read once more first; it may be this build that can read it.
 * (U4) Where the step says so, a call that was answered badly, cut, or not taken by the flex tier is followed at once by one more,
 *      put otherwise (decide-asking.ts). It is a call like any other: a `try` of its own in the ledger.
 */
import { defaultRetryPolicy, parseUsd } from '#libs/domain';
import type {
  CallBudget,
  CallOwner,
  CompletedCall,
  FailedCall,
  ModelCallRequest,
  NewestCall,
  ParkedCall,
} from '#libs/openai-gateway';
import { pauseAt } from '#libs/pause-points';
import {
  repairPrompt,
  type BrokenAnswer,
  type CallStep,
  type MapStep,
  type ModelPrompt,
  type ModelText,
  type Reading,
} from '#libs/workflows';
import type { ExecutionRow } from '../schema/index.js';
import {
  afterBrokenAnswer,
  afterFailure,
  decideFirst,
  type Asking,
  type AskingPolicy,
} from './decide-asking.js';
import type { ExecuteTools } from './execute-tools.js';
import { fenceLost } from './fence-lost.js';
import type { AbortReason, Lease } from './keeper.js';
import type { OpenRun } from './open-run.js';
import { abortedBy, itemFailureOf, type ItemFailure } from './pass.js';

export type ModelStep = CallStep<unknown> | MapStep<unknown>;
export type ModelStepTools = ExecuteTools & Required<Pick<CallOwner, 'onOutcomeUnknown'>>;

/** A step of a run that is under our lease. */
export interface StepAtHand {
  readonly step: ModelStep;
  /** Of the step in its workflow. */
  readonly index: number;
  readonly run: OpenRun;
  readonly lease: Lease;
  readonly tools: ModelStepTools;
}

/** One item of the step, and what is asked of it. */
export interface Unit {
  readonly item: number;
  prompt(): ModelPrompt;
  read(output: ModelText): Reading<unknown>;
}

/** What one call of an item came to. */
type CallEnd =
  | { readonly kind: 'done' }
  | { readonly kind: 'broken'; readonly call: CompletedCall; readonly answer: BrokenAnswer }
  | Omit<FailedCall, 'callId'>
  | ParkedEnd
  | { readonly kind: 'aborted'; readonly reason: AbortReason };

export interface ParkedEnd {
  readonly kind: 'parked';
  readonly parked: ParkedCall;
  /** Of the call. */
  readonly model: string;
}

/** What became of an item. */
export type UnitEnd =
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly failure: ItemFailure }
  | ParkedEnd
  | { readonly kind: 'aborted'; readonly reason: AbortReason };

/** @param newest the newest call of this item that the ledger has */
export async function runUnit(
  unit: Unit,
  newest: NewestCall | undefined,
  at: StepAtHand,
): Promise<UnitEnd> {
  const { step, run } = at;
  const prompt = unit.prompt();
  const policy = askingPolicyOf(step, prompt, run);
  const isAnew = newest !== undefined && endedBeforeRedrive(newest, run.row); // (U3)
  const first = decideFirst(newest, isAnew, policy);
  const itemName = step.kind === 'map' ? unit.item : null;
  const give = (end: CallEnd): UnitEnd => unitEndOf(end, step.name, itemName);
  if (first.kind === 'failed') return give(first); // (U1)
  const call = (asking: Asking, broken: BrokenAnswer | null) =>
    callOnce(requestOf(asking, prompt, broken, unit, at), unit, at);
  let asking = first.asking;
  let broken: BrokenAnswer | null = null;
  if (asking.mends !== null) {
    const earlier = await call({ ...asking, try: asking.mends, mends: null }, null); // stored: nothing is paid
    if (earlier.kind !== 'broken') return give(earlier);
    broken = earlier.answer;
  }
  let mayAskAnew = isAnew && newest.endedWith === null;
  for (;;) {
    const end: CallEnd = await call(asking, broken);
    const next =
      mayAskAnew && end.kind === 'broken' ? plainlyAgain(asking) : nextAsking(end, asking, policy);
    mayAskAnew = false;
    if (next === null) return give(end);
    if (end.kind === 'broken' && next.mends !== null) broken = end.answer;
    asking = next; // (U4)
  }
}

/** The tenant's, where calls have to wait for their turn. */
const weightOf = ({ claim: { weight } }: Lease): Pick<ModelCallRequest, 'weight'> =>
  weight === undefined ? {} : { weight };

/** (U3) */
const plainlyAgain = (asking: Asking): Asking => ({ ...asking, try: asking.try + 1 });

function nextAsking(end: CallEnd, asking: Asking, policy: AskingPolicy): Asking | null {
  switch (end.kind) {
    case 'broken':
      // A refusal is not mended by asking for another form.
      return end.call.output.kind === 'text' ? afterBrokenAnswer(asking, policy) : null;
    case 'failed':
      return afterFailure(asking, end.failure, policy);
    case 'done':
    case 'parked':
    case 'aborted':
      return null;
  }
}

function askingPolicyOf(step: ModelStep, prompt: ModelPrompt, run: OpenRun): AskingPolicy {
  const { largerCap = 0, maxOutputTokens } = prompt;
  return {
    mayMend: step.repair === 'once',
    hasLargerCap: largerCap > maxOutputTokens,
    mayLeaveFlex: step.whenFlexIsFull === 'default',
    retry: { ...defaultRetryPolicy, ...run.workflow.retry },
  };
}

function requestOf(
  asking: Asking,
  prompt: ModelPrompt,
  broken: BrokenAnswer | null,
  unit: Unit,
  { step, index, run: { row }, lease }: StepAtHand,
): ModelCallRequest {
  const { largerCap, ...put } = broken === null ? prompt : repairPrompt(prompt, broken);
  return {
    ...put,
    ...(asking.cap === 'larger' && largerCap !== undefined && { maxOutputTokens: largerCap }),
    ...(asking.tier === 'default' && { serviceTier: 'default' }),
    // Items of one map begin alike, and soon after each other.
    ...(step.kind === 'map' && { promptCacheKey: `${row.run_id}-${index}` }),
    tenant: row.tenant,
    priority: row.priority === 0 ? 'interactive' : 'batch',
    runId: row.run_id,
    step: index,
    item: unit.item,
    try: asking.try, // (U1)
    budget: budgetOf(row),
    ...weightOf(lease),
  };
}

function budgetOf({ workflow, request, max_attempts: triesByPolicy }: ExecutionRow): CallBudget {
  const { budget } = request;
  return { workflow, triesByPolicy, runLimit: budget ? parseUsd(budget.maxCostUsd) : null };
}

/** Ended calls keep the fence of the last claim that had them. */
function endedBeforeRedrive({ state, fence }: NewestCall, row: ExecutionRow): boolean {
  const hasEnded = state === 'done' || state === 'failed' || state === 'cancelled';
  return hasEnded && row.redriven_fence !== null && fence <= row.redriven_fence;
}

async function callOnce(request: ModelCallRequest, unit: Unit, at: StepAtHand): Promise<CallEnd> {
  const { lease, tools } = at;
  const outcome = await tools.gateway.callModel(request, {
    fence: lease.claim.fence,
    signal: lease.signal,
    isLeaseAlive: () => lease.isAlive(),
    onOutcomeUnknown: tools.onOutcomeUnknown,
  });
  switch (outcome.kind) {
    case 'completed':
      pauseAt('call.done');
      return saveReading(unit, outcome, at);
    case 'failed':
      return outcome;
    case 'not_owner':
      fenceLost(lease, tools, 'call');
      return abortedBy(lease);
    case 'stopped':
      lease.abort('cancel_requested');
      return abortedBy(lease);
    case 'parked':
      return { kind: 'parked', parked: outcome, model: request.model };
    case 'aborted':
      return abortedBy(lease);
  }
}

/** (U2) */
async function saveReading(unit: Unit, call: CompletedCall, at: StepAtHand): Promise<CallEnd> {
  const { step, index, run, lease, tools } = at;
  const reading = unit.read(call.output);
  if (reading.kind === 'broken') {
    return { kind: 'broken', call, answer: { text: call.output.text, problems: reading.problems } };
  }
  const isOutcome = step.kind === 'call' && index === run.workflow.steps.length - 1;
  if (!isOutcome && !(await savePoint(reading.value, unit, at))) {
    fenceLost(lease, tools, 'check_point');
    return abortedBy(lease);
  }
  pauseAt('check-point.saved');
  run.finished.set(index, unit.item, reading.value);
  return { kind: 'done' };
}

/** False: the run is no longer ours. */
function savePoint(
  value: unknown,
  unit: Unit,
  { index, run, lease, tools }: StepAtHand,
): Promise<boolean> {
  const { run_id: runId, tenant } = run.row;
  const point = { tenant, runId, fence: lease.claim.fence, step: index, item: unit.item };
  return tools.checkPoints.save({ ...point, value });
}

function unitEndOf(end: CallEnd, step: string, item: number | null): UnitEnd {
  switch (end.kind) {
    case 'broken':
      return { kind: 'failed', failure: brokenOutput(end.call, end.answer.problems, step, item) };
    case 'failed':
      return { kind: 'failed', failure: itemFailureOf(end, step, item) };
    case 'done':
    case 'parked':
    case 'aborted':
      return end;
  }
}

function brokenOutput(
  call: CompletedCall,
  problems: readonly string[],
  step: string,
  item: number | null,
): ItemFailure {
  const ids = { requestId: call.requestId, responseId: call.responseId };
  const message = `the model's output breaks its contract: ${problems.slice(0, 5).join('; ')}`;
  const failure = { class: 'bad_output', code: 'output_contract', httpStatus: null } as const;
  return { ...failure, ...ids, message, retryAfterMs: null, step, item };
}
