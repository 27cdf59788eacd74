import { DueQueue } from './due-queue.js';

/** Decides when a fetched record is handed to its handler. */
export interface HandOver<Item> {
  push(item: Item, dueAtMs: number): void;
  /** Throws away what is waiting and matches: its partition is lost, or the consumer stops. */
  forget(test: (item: Item) => boolean): void;
  readonly waiting: number;
}

/** Hands over as the records come. */
export class ImmediateHandOver<Item> implements HandOver<Item> {
  readonly waiting = 0;
  constructor(private readonly release: (item: Item) => void) {}
  push(item: Item): void {
    this.release(item);
  }
  forget(): void {
    // Holds nothing.
  }
}

/** Clocks are stepped and laptops sleep: no timer trusts its delay for longer than this. */
const MAX_TIMER_MS = 1_000;

/** So many are handed over in one turn of the event loop: thousands at once would all be read before the first is written. */
const AT_ONCE = 250;

/** Hands over at the due time, never before it: a timer that fires early finds nothing due and is set again. */
export class DelayedHandOver<Item> implements HandOver<Item> {
  private readonly queue = new DueQueue<Item>();
  private timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly release: (item: Item) => void,
    private readonly nowMs: () => number,
  ) {}

  get waiting(): number {
    return this.queue.size;
  }

  push(item: Item, dueAtMs: number): void {
    this.queue.push(dueAtMs, item);
    if (this.queue.nextDueAtMs() === dueAtMs) this.arm();
  }

  forget(test: (item: Item) => boolean): void {
    this.queue.removeWhere(test);
    this.arm();
  }

  private arm(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    const dueAtMs = this.queue.nextDueAtMs();
    if (dueAtMs === null) return;
    const waitMs = Math.min(MAX_TIMER_MS, Math.max(0, Math.ceil(dueAtMs - this.nowMs())));
    this.timer = setTimeout(() => {
      this.timer = null;
      for (const item of this.queue.takeDue(this.nowMs(), AT_ONCE)) this.release(item);
      this.arm();
    }, waitMs);
  }
}
