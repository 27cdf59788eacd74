import type { RunProgress } from '#libs/domain';
import type { ExecuteTools } from './execute-tools.js';
import { fenceLost } from './fence-lost.js';
import type { Lease } from './keeper.js';

const TELL_EVERY_MS = 1_000;

const NOTHING_YET: RunProgress = {
  step: 'Starting',
  stepsDone: 0,
  stepsTotal: 1,
  itemsDone: null,
  itemsTotal: null,
};

/** Tells measured progress, at most once a second per run; what comes in between is folded into the next. */
export class ProgressTeller {
  private told: RunProgress | null = null;
  /** Until when calls of the run are waited for whose outcome is unknown: one entry per call. */
  private readonly unknownUntilMs = new Set<{ readonly ms: number }>();
  private timer: NodeJS.Timeout | null = null;
  private writing: Promise<void> = Promise.resolve();
  private toldAtMs: number;

  constructor(
    private readonly lease: Lease,
    private readonly tools: Pick<ExecuteTools, 'moves' | 'log' | 'metrics' | 'nowMs'>,
  ) {
    this.toldAtMs = tools.nowMs();
  }

  get newest(): RunProgress {
    return this.told ?? NOTHING_YET;
  }

  tell(progress: RunProgress): void {
    this.told = progress;
    this.tellSoon();
  }

  /** A call's outcome is unknown, and waited for. @returns to be called when that is over */
  tellUnknown(forMs: number): () => void {
    const wait = { ms: this.tools.nowMs() + forMs };
    this.unknownUntilMs.add(wait);
    this.tellSoon();
    return () => {
      this.unknownUntilMs.delete(wait);
      this.tellSoon();
    };
  }

  private tellSoon(): void {
    const waitMs = Math.max(0, this.toldAtMs + TELL_EVERY_MS - this.tools.nowMs());
    this.timer ??= setTimeout(() => void (this.writing = this.write()), waitMs);
  }

  /** Nothing more is told until the next `tell`; resolves when what is being told is written. */
  async pause(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    await this.writing;
  }

  private async write(): Promise<void> {
    this.timer = null;
    this.toldAtMs = this.tools.nowMs();
    const progress = this.told;
    if (progress === null || this.lease.signal.aborted) return;
    try {
      const outcome = { kind: 'progressed', progress, unknownForMs: this.unknownForMs() } as const;
      const moved = await this.tools.moves.move(this.lease.claim, outcome);
      if (moved === 'written') return;
      if (moved === 'lost') fenceLost(this.lease, this.tools, 'progress');
      else this.lease.abort(moved);
    } catch (error) {
      this.tools.log.warn({ error }, 'progress could not be told');
    }
  }

  /** The longest of the waits; null: there is none. */
  private unknownForMs(): number | null {
    const untilMs = Math.max(...[...this.unknownUntilMs].map(({ ms }) => ms));
    return untilMs === -Infinity ? null : Math.max(0, untilMs - this.tools.nowMs());
  }
}
