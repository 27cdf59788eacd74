/** Who has met a fault on a lane since it last worked, in this process. */
export class LaneFaults {
  /** By what was asked, over all its tries; the newest last. */
  readonly #met = new Map<string, { readonly times: number; readonly atMs: number }>();
  /** When the newest call set out that was answered as it should be. */
  #workedFromMs = -Infinity;

  constructor(private readonly rememberMs: number) {}

  worked(setOutAtMs: number): void {
    this.#met.clear();
    this.#workedFromMs = Math.max(this.#workedFromMs, setOutAtMs);
  }

  met(subject: string, nowMs: number): void {
    const times = this.timesOf(subject) + 1;
    this.#met.delete(subject);
    this.#met.set(subject, { times, atMs: nowMs });
    for (const [old, { atMs }] of this.#met) {
      if (nowMs - atMs < this.rememberMs) break;
      this.#met.delete(old);
    }
  }

  timesOf(subject: string): number {
    return this.#met.get(subject)?.times ?? 0;
  }

  hasWorkedSince(atMs: number): boolean {
    return this.#workedFromMs > atMs;
  }

  othersThan(subject: string, nowMs: number): boolean {
    for (const [other, { atMs }] of this.#met)
      if (other !== subject && nowMs - atMs < this.rememberMs) return true;
    return false;
  }
}
