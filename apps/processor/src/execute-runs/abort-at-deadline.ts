import type { Lease } from './keeper.js';

/** Node fires a longer timer at once; no run stays in one process for 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Aborts the work when the caller's deadline passes; at once, if it has passed. `nowMs`: epoch. */
export function abortAtDeadline(lease: Lease, nowMs: number): { clear(): void } {
  const deadline = lease.claim.run.deadline_at;
  if (deadline === null) return { clear: () => undefined };
  const leftMs = deadline.getTime() - nowMs;
  if (leftMs <= 0) lease.abort('deadline_passed');
  if (leftMs <= 0 || leftMs > MAX_TIMER_MS) return { clear: () => undefined };
  const timer = setTimeout(() => lease.abort('deadline_passed'), leftMs);
  return { clear: () => clearTimeout(timer) };
}
