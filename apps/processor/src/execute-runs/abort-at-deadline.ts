import type { Lease } from './keeper.js';

/** Node fires a longer timer at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Aborts the work when the caller's deadline passes; at once, if it has passed. `nowMs`: epoch. */
export function abortAtDeadline(lease: Lease, nowMs: number): { clear(): void } {
  const deadline = lease.claim.run.deadline_at;
  if (deadline === null) return { clear: () => undefined };
  const leftMs = deadline.getTime() - nowMs;
  if (leftMs <= 0) lease.abort('deadline_passed');
  const timer = setTimeout(() => lease.abort('deadline_passed'), Math.min(leftMs, MAX_TIMER_MS));
  return { clear: () => clearTimeout(timer) };
}
