/**
 * A step that calls the model: once, or once per item (run-unit.ts).
 *
 * (M1) All items are tried in a pass, a bounded number at a time; an item that fails does not stop the others.
 * (M2) A call turns out cheaper than the most that it may cost. What the budget did not cover while other items were on their way
 *      is tried once more, one after the other, when these are settled; what it does not cover then waits for a person.
 * (M3) A call that cannot be sent for now parks the run once every other item has come to its end: nothing of it is open then.
 * (M4) A step's own time limit shortens that of its calls: the gateway cancels them, and takes what was paid for all the same. An item
 *      that has not begun by then has not been asked for.
 */
import { newestCalls, type NewestCall } from '#libs/openai-gateway';
import type { Lease } from './keeper.js';
import type { OpenRun } from './open-run.js';
import { abortedBy, type ItemFailure, type StepPass } from './pass.js';
import {
  runUnit,
  type ModelStep,
  type ModelStepTools,
  type ParkedEnd,
  type Unit,
  type UnitEnd,
} from './run-unit.js';

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
    if (leftMs <= 0) return { kind: 'failed', failure: notBegun(step, unit) }; // (M4)
    const before = newest.get(unit.item);
    const end = await runUnit(within(leftMs, unit), before, { step, index, run, lease, tools });
    if (end.kind === 'done') {
      done++;
      tellDone();
    }
    return end;
  };
  const ends = await mapBounded(todo, parallel, oneUnit); // (M1)
  return passOf(parallel === 1 ? ends : await refusedOnceMore(todo, ends, oneUnit));
}

/** (M2) */
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

/** (M4) */
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
