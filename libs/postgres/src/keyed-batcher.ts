/**
 * Natural batching: what arrives while the last write is in flight goes into the next one. Many rows per
 * statement under load, one at once when idle, and no timer in between.
 *
 * (B1) A batch never holds two items of one key: ON CONFLICT DO UPDATE would fail for all rows (21000), and
 *      UPDATE … FROM unnest would silently apply one of them.
 * (B2) A key in flight waits for the next batch: items of one key are written one after the other, in the order
 *      they were pushed, whatever the other batch in flight does.
 * (B3) `write` gets its items sorted by key (by UTF-16 code unit, which for lower-case UUIDs is Postgres's own
 *      order; a text key that other statements lock by is ordered COLLATE "C" there): writers that lock in one
 *      order do not deadlock.
 * (B4) Every pushed item settles exactly once, with its own fault only (see batch-attempt.ts).
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
  /** Batches in flight at most. Default 1: with two, each gathers half as much, and every statement has its price. */
  readonly maxInFlight?: number;
  readonly retry?: Partial<BatchRetry>;
}

interface Entry<Item, Result> {
  readonly key: string;
  readonly item: Item;
  readonly settle: (outcome: ItemOutcome<Result>) => void;
}

export class KeyedBatcher<Item, Result> {
  /** Keys that may go into the next batch, oldest first; a key in flight is not here (B1, B2). */
  private readonly ready = new Map<string, Entry<Item, Result>[]>();
  /** Keys in flight, with what has been pushed for them since. */
  private readonly inFlight = new Map<string, Entry<Item, Result>[]>();
  private batchesInFlight = 0;
  private startScheduled = false;
  private readonly unsettled = new Set<Promise<void>>();
  private readonly maxItems: number;
  private readonly maxInFlight: number;
  private readonly retry: BatchRetry;

  constructor(private readonly options: KeyedBatcherOptions<Item, Result>) {
    this.maxItems = options.maxItems ?? 500;
    this.maxInFlight = options.maxInFlight ?? 1;
    this.retry = { maxRetryMs: 30_000, firstDelayMs: 20, maxDelayMs: 2_000, ...options.retry };
  }

  /** Resolves once written. Rejects only with the item's own fault, a bug, or when the retry time is used up. */
  push(item: Item): Promise<Result> {
    const pushed = new Promise<Result>((resolve, reject) => {
      const key = this.options.keyOf(item);
      const settle = (outcome: ItemOutcome<Result>) => {
        if (outcome.kind === 'written') resolve(outcome.result);
        else reject(asError(outcome.error));
      };
      this.line(key).push({ key, item, settle });
    });
    const settled: Promise<void> = pushed.then(
      () => void this.unsettled.delete(settled),
      () => void this.unsettled.delete(settled),
    );
    this.unsettled.add(settled);
    this.scheduleStart();
    return pushed;
  }

  /** Resolves when all that was pushed so far is settled, well or badly. */
  async idle(): Promise<void> {
    await Promise.all(this.unsettled);
  }

  private line(key: string): Entry<Item, Result>[] {
    const line = this.inFlight.get(key) ?? this.ready.get(key);
    if (line !== undefined) return line;
    const fresh: Entry<Item, Result>[] = [];
    this.ready.set(key, fresh);
    return fresh;
  }

  /** After all that this turn of the event loop brings (many sockets may be readable at once), so that it is one batch. */
  private scheduleStart(): void {
    if (this.startScheduled) return;
    this.startScheduled = true;
    setImmediate(() => {
      this.startScheduled = false;
      while (this.batchesInFlight < this.maxInFlight && this.ready.size > 0) {
        void this.writeOne(this.takeBatch());
      }
    });
  }

  private takeBatch(): Entry<Item, Result>[] {
    const batch: Entry<Item, Result>[] = [];
    for (const [key, line] of this.ready) {
      const first = line.shift();
      if (first !== undefined) batch.push(first);
      this.ready.delete(key);
      this.inFlight.set(key, line); // (B2)
      if (batch.length === this.maxItems) break;
    }
    return batch.sort((a, b) => (a.key < b.key ? -1 : 1)); // (B3)
  }

  /** Never rejects: writeBatch gives every outcome to the item it belongs to. */
  private async writeOne(batch: readonly Entry<Item, Result>[]): Promise<void> {
    this.batchesInFlight++;
    const items = batch.map((entry) => entry.item);
    const write = (part: readonly Item[]) => this.options.write(part);
    await writeBatch(this.options.name, items, write, this.retry, (index, outcome) =>
      batch[index]?.settle(outcome),
    );
    this.batchesInFlight--;
    for (const { key } of batch) {
      const line = this.inFlight.get(key) ?? [];
      this.inFlight.delete(key);
      if (line.length > 0) this.ready.set(key, line);
    }
    this.scheduleStart();
  }
}

function asError(error: unknown): Error {
  return isNativeError(error)
    ? error
    : new Error('write() threw what is no Error', { cause: error });
}
