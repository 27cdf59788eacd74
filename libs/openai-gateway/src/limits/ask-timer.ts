/** When a process asks for its share: one ask at a time, at the earliest time that anybody has wished. */
export interface AskGaps {
  /** Between two asks, at least. */
  readonly shortestMs: number;
  /** After an ask that was not answered, whatever was wished meanwhile. */
  readonly afterFailureMs: number;
}

export class AskTimer {
  #asking: Promise<void> | null = null;
  #askedAtMs = -Infinity;
  /** Wished while an ask is on its way: for after it. */
  #wishedMs = Infinity;
  #timer: { readonly atMs: number; readonly handle: NodeJS.Timeout } | null = null;
  #isStopped = false;

  /** @param ask never rejects; whether it was answered */
  constructor(
    private readonly ask: () => Promise<boolean>,
    private readonly gaps: AskGaps,
  ) {}

  within(ms: number): void {
    if (this.#isStopped) return;
    if (this.#asking !== null) {
      this.#wishedMs = Math.min(this.#wishedMs, ms);
      return;
    }
    const nowMs = performance.now();
    const atMs = Math.max(nowMs + ms, this.#askedAtMs + this.gaps.shortestMs);
    if (this.#timer !== null && this.#timer.atMs <= atMs) return;
    clearTimeout(this.#timer?.handle);
    const handle = setTimeout(() => {
      this.#timer = null;
      this.#asking = this.#askNow();
    }, atMs - nowMs);
    this.#timer = { atMs, handle };
  }

  /** None begins any more; the one on its way is waited for. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer?.handle);
    await this.#asking;
  }

  async #askNow(): Promise<void> {
    this.#askedAtMs = performance.now();
    this.#wishedMs = Infinity;
    const isAnswered = await this.ask();
    this.#asking = null;
    const nextMs = isAnswered ? this.#wishedMs : this.gaps.afterFailureMs;
    if (Number.isFinite(nextMs)) this.within(nextMs);
  }
}
