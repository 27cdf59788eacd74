/**
 * How long the leader of a term may still act, by the monotonic clock: until a while after its last successful
 * renewal was sent, whatever the database and the network do meanwhile. Counted from the sending and not from
 * the answer, for the database counts from when the statement arrived, which is later.
 */
export class TermClock {
  /** Aborted when the time is up, or with the reason given to `lose`. */
  readonly lost: AbortSignal;
  private readonly losing = new AbortController();
  private aliveUntil: number;
  private timer: NodeJS.Timeout | undefined;

  /** @param sentAt performance.now() before the lease was asked for */
  constructor(
    sentAt: number,
    private readonly aliveMs: number,
    private readonly timeIsUp: () => Error,
  ) {
    this.lost = this.losing.signal;
    this.aliveUntil = sentAt + aliveMs;
    this.arm();
  }

  /** Also right in the moment after a pause, when no timer has had its turn yet. */
  isAlive(): boolean {
    return performance.now() < this.aliveUntil;
  }

  /** A renewal that comes too late does not bring a term back to life. */
  renewed(sentAt: number): void {
    if (!this.isAlive()) return;
    this.aliveUntil = sentAt + this.aliveMs;
    this.arm();
  }

  lose(reason: Error): void {
    this.end();
    this.losing.abort(reason);
  }

  end(): void {
    this.aliveUntil = -Infinity;
    clearTimeout(this.timer);
  }

  private arm(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (this.isAlive())
        this.arm(); // timers may fire a little early
      else this.lose(this.timeIsUp());
    }, this.aliveUntil - performance.now());
  }
}
