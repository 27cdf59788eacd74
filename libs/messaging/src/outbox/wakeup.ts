import { pause } from '../pause.js';

/** A wait that a hint cuts short. A hint given while nobody waits ends the next wait at once: none is lost in between. */
export class Wakeup {
  private hinted = false;
  private waiting: AbortController | null = null;

  hint(): void {
    this.hinted = true;
    this.waiting?.abort();
  }

  async wait(maxWaitMs: number, signal: AbortSignal): Promise<void> {
    if (!this.hinted) {
      this.waiting = new AbortController();
      await pause(maxWaitMs, AbortSignal.any([signal, this.waiting.signal]));
      this.waiting = null;
    }
    this.hinted = false;
  }
}
