/** A retry topic: whatever is put into it comes out `delayMs` later, first in, first out. */
export interface RetryTier {
  readonly name: '5s' | '30s' | '2m' | '10m';
  readonly delayMs: number;
}

/** Shortest first. Longer waits hop through several tiers. */
export const retryTiers: readonly RetryTier[] = [
  { name: '5s', delayMs: 5_000 },
  { name: '30s', delayMs: 30_000 },
  { name: '2m', delayMs: 120_000 },
  { name: '10m', delayMs: 600_000 },
];

/** Waits shorter than this stay where the run is: in the process, or on its row. */
export const SHORT_WAIT_MS = 5_000;

/** The largest tier that does not overshoot `waitMs`; null for a short wait, which needs no tier. */
export function chooseTier(waitMs: number): RetryTier | null {
  return retryTiers.findLast((tier) => tier.delayMs <= waitMs) ?? null;
}
