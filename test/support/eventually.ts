import { setTimeout as sleep } from 'node:timers/promises';
import { patienceMs } from './patience.js';

/**
 * Asks until the answer is yes, for signs that nobody sends: offsets, rows. Where there is an event or a line, wait for that.
 * @param what what was waited for, in words: the message of the failure
 * @param look truthy: that is it, and it is returned
 * @param everyMs longer where a look costs more than a row of a table
 */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  withinMs = patienceMs,
  everyMs = 25,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`${withinMs} ms went by without: ${what}`);
    await sleep(everyMs);
  }
}
