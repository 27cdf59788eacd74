/** Wakes whoever waits in this process for what OpenAI's webhook tells of a call. A hint: it may be lost, and the ledger knows. */
import { pause } from './openai/follow-response.js';

export class ToldCalls {
  readonly #waiting = new Map<string, AbortController>();

  /** Until the call is told of, the time is over, or the signal fires. In this process at most one waits for a call. */
  async wait(callId: string, ms: number, signal: AbortSignal): Promise<void> {
    const told = new AbortController();
    this.#waiting.set(callId, told);
    try {
      await pause(ms, AbortSignal.any([signal, told.signal]));
    } finally {
      this.#waiting.delete(callId);
    }
  }

  tell(callId: string): void {
    this.#waiting.get(callId)?.abort();
  }
}
