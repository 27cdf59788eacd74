/**
 * A step that calls the model: once, or once per item.
 *
 * (M1) All items are tried in a pass, a bounded number at a time; an item that fails does not stop the others.
 * (M2) A call that is open or unknown is asked for again under its own id, so that the ledger can take it up; only one that
 *      ended without a result gets a new `try`, and only where its class is tried again at all.
 * (M3) An item is done when its reading is saved under our fence. The one call of the last step needs no check-point: the outcome
 *      follows at once under the same fence, and until it is written the ledger keeps the output.
 * (M4) A redrive is a person's word to call again: what ended without a usable result before it gets a new `try`, whatever its
 *      class. A stored output is read once more first; it may be this build that can read it.
 * (M5) Where the step says so, a call that was answered badly, cut, or not taken by the flex tier is followed at once by one more,
 *      put otherwise (decide-asking.ts). It is a call like any other: a `try` of its own in the ledger.
 * (M6) A call turns out cheaper than the most that it may cost. What the budget did not cover while other items were on their way
 *      is tried once more, one after the other, when these are settled; what it does not cover then waits for a person.
 * (M7) A call that cannot be sent for now parks the run once every other item has come to its end: nothing of it is open then.
 * (M8) A step's own time limit shortens that of its calls: the gateway cancels them, and takes what was paid for all the same. An item
 *      that has not begun by then has not been asked for.
 */
import { defaultRetryPolicy, parseUsd } from '#libs/domain';
import {
  newestCalls,
  type CallBudget,
  type CallOwner,
  type CompletedCall,
  type FailedCall,
  type ModelCallRequest,
  type NewestCall,
  type ParkedCall,
} from '#libs/openai-gateway';
import { pauseAt } from '#libs/pause-points';
import type { ExecutionRow } from '../schema/index.js';
import {
  repairPrompt,
  type BrokenAnswer,
  type CallStep,
  type MapStep,
  type ModelPrompt,
  type ModelText,
  type Reading,
} from '#libs/workflows';
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
import { abortedBy, itemFailureOf, type ItemFailure, type StepPass } from './pass.js';

type ModelStep = CallStep<unknown> | MapStep<unknown>;
type ModelStepTools = ExecuteTools & Required<Pick<CallOwner, 'onOutcomeUnknown'>>;

/** One model call of a step. */
interface Unit {
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

interface ParkedEnd {
  readonly kind: 'parked';
  readonly parked: ParkedCall;
  /** Of the call. */
  readonly model: string;
}

type UnitEnd =
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly failure: ItemFailure }
  | ParkedEnd
  | { readonly kind: 'aborted'; readonly reason: AbortReason };

export async function runModelStep(
  step: ModelStep,
  index: number,
  run: OpenRun,
  lease: Lease,
  tools: ModelStepTools,
  tell: (itemsDone: number | null, itemsTotal: number | null) => void,
): Promise<StepPass> {
  const units = unitsOf(step, run);
  const todo = units.filter(({ item }) => !run.finished.has(index, item));
  let done = units.length - todo.length;
  const tellDone = () => (step.kind === 'map' ? tell(done, units.length) : tell(null, null));
  tellDone();
  const newest = run.isFresh
    ? new Map<number, NewestCall>()
    : await newestCalls(tools.database, run.row.run_id, index, run.row.redriven_fence ?? 0n);
  const parallel = step.kind === 'map' ? step.maxParallelItems : 1;
  const isOverAtMs = performance.now() + (step.timeLimitMs ?? Infinity);
  const oneUnit = async (unit: Unit): Promise<UnitEnd> => {
    if (lease.signal.aborted) return abortedBy(lease);
    const leftMs = isOverAtMs - performance.now();
    if (leftMs <= 0) return { kind: 'failed', failure: notBegun(step, unit) }; // (M8)
    const before = newest.get(unit.item);
    const end = await runUnit(within(leftMs, unit), before, step, index, run, lease, tools);
    if (end.kind === 'done') {
      done++;
      tellDone();
    }
    return end;
  };
  const ends = await mapBounded(todo, parallel, oneUnit); // (M1)
  return passOf(parallel === 1 ? ends : await refusedOnceMore(todo, ends, oneUnit));
}

/** (M6) */
async function refusedOnceMore(
  units: readonly Unit[],
  ends: readonly UnitEnd[],
  oneUnit: (unit: Unit) => Promise<UnitEnd>,
): Promise<UnitEnd[]> {
  const after = [...ends];
  for (const [index, unit] of units.entries()) {
    if (!isBeyondBudget(after[index])) continue;
    const again = await oneUnit(unit);
    after[index] = again;
    if (isBeyondBudget(again)) break;
  }
  return after;
}

function isBeyondBudget(end: UnitEnd | undefined): boolean {
  return end?.kind === 'failed' && end.failure.class === 'budget_exceeded';
}

function unitsOf(step: ModelStep, { context }: OpenRun): Unit[] {
  if (step.kind === 'call') {
    return [
      { item: 0, prompt: () => step.prompt(context), read: (output) => step.read(output, context) },
    ];
  }
  return step.items(context).map((item, index) => ({
    item: index,
    prompt: () => step.prompt(item, context),
    read: (output) => step.read(output, item, context),
  }));
}

/** (M8) */
function within(leftMs: number, unit: Unit): Unit {
  if (leftMs === Infinity) return unit;
  const prompt = () => {
    const asked = unit.prompt();
    return { ...asked, callTimeoutMs: Math.min(asked.callTimeoutMs, Math.ceil(leftMs)) };
  };
  return { item: unit.item, prompt, read: (output) => unit.read(output) };
}

function notBegun(step: ModelStep, { item }: Unit): ItemFailure {
  return {
    ...({ class: 'timeout', code: 'step_timeout', httpStatus: null, requestId: null } as const),
    ...{ responseId: null, retryAfterMs: null, step: step.name },
    message: 'the time limit of the step was over before the item was asked for',
    item: step.kind === 'map' ? item : null,
  };
}

async function runUnit(
  unit: Unit,
  newest: NewestCall | undefined,
  step: ModelStep,
  index: number,
  run: OpenRun,
  lease: Lease,
  tools: ModelStepTools,
): Promise<UnitEnd> {
  const prompt = unit.prompt();
  const policy = askingPolicyOf(step, prompt, run);
  const isAnew = newest !== undefined && endedBeforeRedrive(newest, run.row); // (M4)
  const first = decideFirst(newest, isAnew, policy);
  const itemName = step.kind === 'map' ? unit.item : null;
  const give = (end: CallEnd): UnitEnd => unitEndOf(end, step.name, itemName);
  if (first.kind === 'failed') return give(first); // (M2)
  const call = (asking: Asking, broken: BrokenAnswer | null) =>
    callOnce(
      { ...requestOf(asking, prompt, broken, unit, step, index, run), ...weightOf(lease) },
      unit,
      step,
      index,
      run,
      lease,
      tools,
    );
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
    asking = next; // (M5)
  }
}

/** The tenant's, where calls have to wait for their turn. */
const weightOf = ({ claim: { weight } }: Lease): Pick<ModelCallRequest, 'weight'> =>
  weight === undefined ? {} : { weight };

/** (M4) */
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
  step: ModelStep,
  index: number,
  { row }: OpenRun,
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
    try: asking.try, // (M2)
    budget: budgetOf(row),
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

async function callOnce(
  request: ModelCallRequest,
  unit: Unit,
  step: ModelStep,
  index: number,
  run: OpenRun,
  lease: Lease,
  tools: ModelStepTools,
): Promise<CallEnd> {
  const outcome = await tools.gateway.callModel(request, {
    fence: lease.claim.fence,
    signal: lease.signal,
    isLeaseAlive: () => lease.isAlive(),
    onOutcomeUnknown: tools.onOutcomeUnknown,
  });
  switch (outcome.kind) {
    case 'completed':
      pauseAt('call.done');
      return saveReading(unit, outcome, step, index, run, lease, tools);
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

/** (M3) */
async function saveReading(
  unit: Unit,
  call: CompletedCall,
  step: ModelStep,
  index: number,
  run: OpenRun,
  lease: Lease,
  tools: ModelStepTools,
): Promise<CallEnd> {
  const reading = unit.read(call.output);
  if (reading.kind === 'broken') {
    return { kind: 'broken', call, answer: { text: call.output.text, problems: reading.problems } };
  }
  const isOutcome = step.kind === 'call' && index === run.workflow.steps.length - 1;
  if (!isOutcome && !(await savePoint(reading.value, unit, index, run, lease, tools))) {
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
  index: number,
  run: OpenRun,
  lease: Lease,
  tools: ModelStepTools,
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

/** An abort outweighs failures: what was cut short says nothing about the run. */
function passOf(ends: readonly UnitEnd[]): StepPass {
  const aborted = ends.find((end) => end.kind === 'aborted');
  if (aborted) return aborted;
  const [first, ...rest] = ends.flatMap((end) => (end.kind === 'failed' ? [end.failure] : []));
  const parked = longestParked(ends.filter((end) => end.kind === 'parked'));
  if (parked) return { ...parked, failures: first ? [first, ...rest] : [] };
  return first ? { kind: 'failed', failures: [first, ...rest] } : { kind: 'step_done' };
}

/** Nobody knows when: that is the longest. */
function longestParked(ends: readonly ParkedEnd[]) {
  const untilMs = ({ parked }: ParkedEnd) => parked.untilMs ?? Infinity;
  return ends.reduce<ParkedEnd | undefined>(
    (longest, end) => (longest && untilMs(longest) >= untilMs(end) ? longest : end),
    undefined,
  );
}

/** Like Promise.all over `items.map(work)`, with at most `bound` in flight; results in order. A rejection rises at the end. */
async function mapBounded<Item, Result>(
  items: readonly Item[],
  bound: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const queue = items.entries();
  const worker = async () => {
    for (const [index, item] of queue) results[index] = await work(item);
  };
  const workers = Array.from({ length: Math.min(bound, items.length) }, worker);
  const settled = await Promise.allSettled(workers);
  for (const each of settled) if (each.status === 'rejected') throw each.reason;
  return results;
}
