/**
 * Natural batching: what arrives while the last write is in flight goes into the next one. Many rows per
 * statement under load, one at once when idle.
 *
 * (B1) A batch never holds two items of one key: ON CONFLICT DO UPDATE would fail for all rows (21000), and
 *      UPDATE … FROM unnest would silently apply one of them.
 * (B2) One batch is in flight at a time: items of one key are written one after the other, in the order they were
 *      pushed. With two, each would gather half as much, and every statement has its price.
 * (B3) `write` gets its items sorted by key (by UTF-16 code unit, which for lower-case UUIDs is Postgres's own
 *      order; a text key that other statements lock by is ordered COLLATE "C" there): writers that lock in one
 *      order do not deadlock.
 * (B4) Every pushed item settles exactly once, with its own fault only (see batch-attempt.ts).
 * (B5) Batches begin at least `spacingMs` apart: on a quick disk they would else begin before more than one or two
 *      items have come, and a statement costs about the same for one as for ten. Who comes later than that, or alone,
 *      is written at once.
 *
 * `write` is called again after a transient failure, also when the first call may have happened (a lost answer
 * to COMMIT): it must be idempotent.
 */
import { isNativeError } from 'node:util/types';
import { type BatchRetry, type ItemOutcome, writeBatch } from './batch-attempt.js';

export interface KeyedBatcherOptions<Item, Result> {
  /** For messages about this batcher. */
  readonly name: string;
  keyOf(item: Item): string;
  /** Items sorted by key, no key twice; answers with one result per item, in the same order. */
  write(items: readonly Item[]): Promise<readonly Result[]>;
  /** Items in one batch at most. Default 500. */
  readonly maxItems?: number;
  /** Default 5; 0: as soon as the batch before is written. */
  readonly spacingMs?: number;
  readonly retry?: Partial<BatchRetry>;
}

interface Entry<Item, Result> {
  readonly key: string;
  readonly item: Item;
  readonly settle: (outcome: ItemOutcome<Result>) => void;
}

export class KeyedBatcher<Item, Result> {
  /** What waits for a batch: of each key the oldest first. Keys take turns. */
  private readonly waiting = new Map<string, Entry<Item, Result>[]>();
  private isBusy = false;
  /** Monotonic: when the last batch began. */
  private beganAtMs = -Infinity;
  private readonly maxItems: number;
  private readonly spacingMs: number;
  private readonly retry: BatchRetry;

  constructor(private readonly options: KeyedBatcherOptions<Item, Result>) {
    this.maxItems = options.maxItems ?? 500;
    this.spacingMs = options.spacingMs ?? 5;
    this.retry = { maxRetryMs: 30_000, firstDelayMs: 20, maxDelayMs: 2_000, ...options.retry };
  }

  /** Resolves once written. Rejects only with the item's own fault, a bug, or when the retry time is used up. */
  push(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      const key = this.options.keyOf(item);
      const settle = (outcome: ItemOutcome<Result>) => {
        if (outcome.kind === 'written') resolve(outcome.result);
        else reject(asError(outcome.error));
      };
      const line = this.waiting.get(key);
      if (line === undefined) this.waiting.set(key, [{ key, item, settle }]);
      else line.push({ key, item, settle });
      this.beginSoon();
    });
  }

  /** After all that this turn of the event loop brings (many sockets may be readable at once), so that it is one batch. */
  private beginSoon(): void {
    if (this.isBusy || this.waiting.size === 0) return;
    this.isBusy = true; // (B2)
    const begin = () => void this.writeOne(this.takeBatch());
    const waitMs = this.beganAtMs + this.spacingMs - performance.now();
    if (waitMs > 0)
      setTimeout(begin, waitMs); // (B5)
    else setImmediate(begin);
  }

  private takeBatch(): Entry<Item, Result>[] {
    const batch: Entry<Item, Result>[] = [];
    const comeAgain: [string, Entry<Item, Result>[]][] = [];
    for (const [key, line] of this.waiting) {
      const first = line.shift();
      if (first !== undefined) batch.push(first); // (B1)
      this.waiting.delete(key);
      if (line.length > 0) comeAgain.push([key, line]);
      if (batch.length === this.maxItems) break;
    }
    for (const [key, line] of comeAgain) this.waiting.set(key, line);
    return batch.sort((a, b) => (a.key < b.key ? -1 : 1)); // (B3)
  }

  /** Never rejects: writeBatch gives every outcome to the item it belongs to. */
  private async writeOne(batch: readonly Entry<Item, Result>[]): Promise<void> {
    this.beganAtMs = performance.now();
    const items = batch.map((entry) => entry.item);
    const write = (part: readonly Item[]) => this.options.write(part);
    await writeBatch(this.options.name, items, write, this.retry, (index, outcome) =>
      batch[index]?.settle(outcome),
    );
    this.isBusy = false;
    this.beginSoon();
  }
}

function asError(error: unknown): Error {
  return isNativeError(error)
    ? error
    : new Error('write() threw what is no Error', { cause: error });
}
