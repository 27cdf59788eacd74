/**
 * Writes one batch until each of its items has an outcome of its own: written, or failed with an error.
 *
 * (A1) A transient failure repeats the same batch, with growing delay, until the batch's time is used up; then
 *      what is left of it fails with that error.
 * (A2) A row rejection, of Postgres or of our own code, halves the batch, down to the one item that is at fault: only that one fails.
 * (A3) Any other error is a bug in the statement or the caller: what was in that statement fails at once.
 * (A4) Every item gets exactly one outcome.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isRowRejection, isTransientError } from './postgres-errors.js';

export type ItemOutcome<Result> =
  { kind: 'written'; result: Result } | { kind: 'failed'; error: unknown };

/** When a transient failure is tried again: a delay that doubles, half of it jitter. */
export interface BatchRetry {
  /** How long one batch is tried, from its first statement on. Default 30,000; 0: never again. */
  readonly maxRetryMs: number;
  /** Default 20. */
  readonly firstDelayMs: number;
  /** Default 2,000. */
  readonly maxDelayMs: number;
}

export class BatchResultsMisalignedError extends Error {
  override readonly name = 'BatchResultsMisalignedError';
  readonly code = 'batch_results_misaligned';
  constructor(batcher: string, items: number, results: number) {
    super(
      `batcher "${batcher}": write() was given ${items} items and answered with ${results} results`,
    );
  }
}

/** @param settle called once per item, by its place in `items` */
export async function writeBatch<Item, Result>(
  name: string,
  items: readonly Item[],
  write: (items: readonly Item[]) => Promise<readonly Result[]>,
  retry: BatchRetry,
  settle: (index: number, outcome: ItemOutcome<Result>) => void,
): Promise<void> {
  const deadline = performance.now() + retry.maxRetryMs;
  const parts: Part[] = [{ from: 0, to: items.length }];
  for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
    const slice = items.slice(part.from, part.to);
    const outcome = await attempt(name, slice, write, retry, deadline);
    switch (outcome.kind) {
      case 'written':
        outcome.results.forEach((result, i) => settle(part.from + i, { kind: 'written', result }));
        break;
      case 'row_rejected': {
        if (slice.length === 1) {
          settle(part.from, { kind: 'failed', error: outcome.error });
          break;
        }
        const middle = part.from + Math.ceil(slice.length / 2);
        parts.unshift({ from: part.from, to: middle }, { from: middle, to: part.to }); // (A2)
        break;
      }
      case 'broken':
        failAll([part], outcome.error, settle); // (A3)
        break;
      case 'gave_up':
        failAll([part, ...parts.splice(0)], outcome.error, settle); // (A1)
        break;
    }
  }
}

/** Places `from` up to, not including, `to` of the batch. */
interface Part {
  readonly from: number;
  readonly to: number;
}

type AttemptOutcome<Result> =
  | { kind: 'written'; results: readonly Result[] }
  | { kind: 'row_rejected'; error: unknown }
  | { kind: 'gave_up'; error: unknown }
  | { kind: 'broken'; error: unknown };

async function attempt<Item, Result>(
  name: string,
  items: readonly Item[],
  write: (items: readonly Item[]) => Promise<readonly Result[]>,
  retry: BatchRetry,
  deadline: number,
): Promise<AttemptOutcome<Result>> {
  for (let failures = 0; ; failures++) {
    try {
      const results = await write(items);
      if (results.length === items.length) return { kind: 'written', results };
      return {
        kind: 'broken',
        error: new BatchResultsMisalignedError(name, items.length, results.length),
      };
    } catch (error) {
      if (isRowRejection(error)) return { kind: 'row_rejected', error };
      if (!isTransientError(error)) return { kind: 'broken', error };
      const delayMs = batchRetryDelayMs(failures, retry, Math.random());
      if (performance.now() + delayMs >= deadline) return { kind: 'gave_up', error };
      await sleep(delayMs);
    }
  }
}

/** @param random from 0 to 1, 1 not included */
export function batchRetryDelayMs(failures: number, retry: BatchRetry, random: number): number {
  const ceilingMs = Math.min(retry.maxDelayMs, retry.firstDelayMs * 2 ** failures);
  return ceilingMs * (0.5 + random / 2);
}

function failAll(
  parts: readonly Part[],
  error: unknown,
  settle: (index: number, outcome: { kind: 'failed'; error: unknown }) => void,
): void {
  for (const { from, to } of parts) {
    for (let index = from; index < to; index++) settle(index, { kind: 'failed', error });
  }
}
