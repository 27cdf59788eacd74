import { setTimeout as sleep } from 'node:timers/promises';

/** Ends when the time is up or the signal fires, and never rejects: the caller looks at the signal. */
export async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  await sleep(delayMs, undefined, { signal }).catch(() => undefined);
}
