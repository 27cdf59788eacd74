/** A wait that a hint cuts short. A hint given while nobody waits ends the next wait at once: none is lost in between. */
export class Wakeup {
  private hinted = false;
  private endWait: () => void = () => undefined;

  hint(): void {
    this.hinted = true;
    this.endWait();
  }

  async wait(maxWaitMs: number, signal: AbortSignal): Promise<void> {
    if (!this.hinted && !signal.aborted) await this.untilHinted(maxWaitMs, signal);
    this.hinted = false;
  }

  private async untilHinted(maxWaitMs: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, maxWaitMs);
    const aborted = () => resolve();
    signal.addEventListener('abort', aborted, { once: true });
    this.endWait = resolve;
    await promise;
    signal.removeEventListener('abort', aborted);
    clearTimeout(timer);
  }
}
