/**
 * Serves all streams of this process with one batched read.
 *
 * (H1) One read at a time, for everyone who waits: at most every `everyMs` on its own, sooner when hinted. What is asked or
 *      hinted while a read is in flight goes into the next one, which starts at once.
 * (H2) A watcher waits with the version and revision it has seen and is answered with what follows. It asks again when it has
 *      passed that on, so a slow client holds nothing in memory; and as the place is the watcher's own, nothing repeats and no
 *      event is skipped whatever hints are lost, late or doubled. Of revisions only the newest counts.
 * (H3) A read that fails is told to the log and tried again at the next turn: watchers only see that nothing came.
 * (H4) A wait ends with events, or empty when its signal fires or the hub is closed. With nobody waiting there is no read.
 */
import type { FollowRunsStore, RunNews, Watch } from './follow-runs.store.js';

interface Waiting {
  readonly watches: readonly Watch[];
  readonly resolve: (events: readonly RunNews[]) => void;
}

export interface WatchHubOptions {
  /** Longest time until a new event is seen when no hint came. Default 200. */
  readonly everyMs?: number;
  readonly onError?: (error: unknown) => void;
}

export class WatchHub {
  private readonly waiting = new Set<Waiting>();
  private readonly everyMs: number;
  private reading = false;
  private hinted = false;
  private closed = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly store: Pick<FollowRunsStore, 'news'>,
    private readonly options: WatchHubOptions = {},
  ) {
    this.everyMs = options.everyMs ?? 200;
  }

  /** What comes after `afterVersion` and `afterRevision`, as soon as there is any; none when `signal` fires or the hub is closed (H4). */
  next(watch: Watch, signal: AbortSignal): Promise<readonly RunNews[]> {
    return this.nextOf([watch], signal);
  }

  /** The same for someone who waits for several runs: what is new of any of them, in order within each run. */
  async nextOf(watches: readonly Watch[], signal: AbortSignal): Promise<readonly RunNews[]> {
    if (this.closed || signal.aborted) return [];
    const { promise, resolve } = Promise.withResolvers<readonly RunNews[]>();
    const waiting: Waiting = { watches, resolve };
    const giveUp = () => this.answer(waiting, []);
    signal.addEventListener('abort', giveUp, { once: true });
    this.waiting.add(waiting);
    this.hint();
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  /** How many wait at this moment. */
  get watchers(): number {
    return this.waiting.size;
  }

  /** There may be something new: look now. */
  hint(): void {
    if (this.reading) this.hinted = true;
    else void this.readUntilQuiet();
  }

  /** Answers everyone who waits with nothing; nobody can wait afterwards. */
  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    for (const waiting of [...this.waiting]) this.answer(waiting, []);
  }

  private async readUntilQuiet(): Promise<void> {
    this.reading = true; // (H1)
    clearTimeout(this.timer);
    do {
      this.hinted = false;
      await this.readOnce();
    } while (this.hinted && !this.closed);
    this.reading = false;
    if (this.waiting.size > 0 && !this.closed) {
      this.timer = setTimeout(() => this.hint(), this.everyMs);
    }
  }

  private async readOnce(): Promise<void> {
    const everyone = [...this.waiting];
    if (everyone.length === 0) return;
    try {
      const found = await this.store.news(everyone.flatMap(({ watches }) => watches));
      let from = 0;
      for (const waiting of everyone) {
        const events = found.slice(from, (from += waiting.watches.length)).flat();
        if (events.length > 0) this.answer(waiting, events); // (H2)
      }
    } catch (error) {
      this.options.onError?.(error); // (H3)
    }
  }

  private answer(waiting: Waiting, events: readonly RunNews[]): void {
    this.waiting.delete(waiting);
    waiting.resolve(events);
  }
}
