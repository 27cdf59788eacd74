/**
 * The process that outlives its supervisor only to clean up after it. It holds the other end of a pipe: when the supervisor
 * dies, even of SIGKILL, the pipe closes, and the watchdog ends what is still on its list, last started first.
 *
 * Standard input, one JSON value per line: {"watch": WatchedProcess} | {"forget": pid} | {"remove": folder}
 */
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { endProcess } from './end-process.js';
import type { Ending } from './end-process.js';
import type { ProcessIdentity } from './process-identity.js';

export interface WatchedProcess extends ProcessIdentity, Ending {
  readonly name: string;
}

export type WatchdogOrder =
  { readonly watch: WatchedProcess } | { readonly forget: number } | { readonly remove: string };

const watched = new Map<number, WatchedProcess>();
const folders = new Set<string>();

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as WatchdogOrder;
  if ('watch' in order) watched.set(order.watch.pid, order.watch);
  else if ('forget' in order) watched.delete(order.forget);
  else folders.add(order.remove);
}
for (const child of [...watched.values()].reverse()) await endProcess(child, child);
for (const folder of folders) await rm(folder, { recursive: true, force: true });
