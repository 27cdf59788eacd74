/** Ends one process that is known to be ours: a polite signal, a time to obey, then SIGKILL. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, signalProcess } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';

export interface Ending {
  readonly stopSignal: NodeJS.Signals;
  readonly graceMs: number;
}

const pollMs = 25;
const killWaitMs = 5_000;

/** Resolves when the process is gone (or, after SIGKILL and 5 s more, with `false`). */
export async function endProcess(identity: ProcessIdentity, ending: Ending): Promise<boolean> {
  if (!(await signalProcess(identity, ending.stopSignal))) return true;
  if (await isGoneWithin(identity, ending.graceMs)) return true;
  if (!(await signalProcess(identity, 'SIGKILL'))) return true;
  return isGoneWithin(identity, killWaitMs);
}

async function isGoneWithin(identity: ProcessIdentity, limitMs: number): Promise<boolean> {
  const until = performance.now() + limitMs;
  while (performance.now() < until) {
    if (!(await isAlive(identity))) return true;
    await sleep(pollMs);
  }
  return !(await isAlive(identity));
}
