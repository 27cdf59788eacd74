import { setTimeout as sleep } from 'node:timers/promises';
import type { FieldLog } from '#libs/process';

/** Does `work` every `everyMs` until the signal; a round that fails is logged, and the next one comes all the same. */
export async function repeat(
  what: string,
  everyMs: number,
  work: () => Promise<unknown>,
  log: FieldLog,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    try {
      await work();
    } catch (error) {
      log.warn({ error }, `${what} failed; trying again`);
    }
  }
}
