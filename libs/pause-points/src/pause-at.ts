/**
 * Stops this process at a point of the flow, for fault specs.
 *
 * (P1) Unset, which is always so outside of specs, a point costs one comparison.
 * (P2) The whole process stands still, by SIGSTOP to itself: no timer, heartbeat or renewal of it goes on. A spec that has read
 *      the line kills it there, or lets it go on with SIGCONT.
 * (P3) It stops once. After that all points are passed as if nothing were set.
 */
import { writeSync } from 'node:fs';
import { numberOf, type PausePoint } from './pause-points.js';
import { PAUSE_AT, parsePause } from './parse-pause.js';

const EXIT_BAD_SETTINGS = 78;
/** SIGSTOP is on its way to all threads when `kill` returns; nothing of ours may run until it has arrived. */
const STOP_ARRIVES_WITHIN_MS = 50;

let armed: { readonly point: PausePoint; left: number } | null = null;

/** First thing in a process; ends it with code 78 where the setting is wrong, or has no business to be there. */
export function armPausePoint(env: NodeJS.ProcessEnv): void {
  const order = parsePause(env);
  if (order.kind === 'refused') {
    process.stderr.write(`${PAUSE_AT}: ${order.reason}\n`);
    process.exit(EXIT_BAD_SETTINGS);
  }
  armed = order.kind === 'pause' ? { point: order.point, left: order.nth } : null;
}

export function pauseAt(point: PausePoint): void {
  if (armed?.point === point) stand(armed); // (P1)
}

function stand(order: { readonly point: PausePoint; left: number }): void {
  order.left -= 1;
  if (order.left > 0) return;
  armed = null; // (P3)
  writeSync(1, `paused: ${numberOf(order.point)} ${order.point}\n`);
  process.kill(process.pid, 'SIGSTOP'); // (P2)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STOP_ARRIVES_WITHIN_MS);
}
