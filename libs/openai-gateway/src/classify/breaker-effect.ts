/**
 * What a failure says about the calls that come after it, to whoever governs the lane (account, model, tier):
 *
 * - `none`: it was about this one request.
 * - `transient`: a sample for the breaker. Enough of them, and the lane is shut for a while.
 * - `latch_account`: nothing of this account will succeed until somebody acts.
 * - `latch_model`: the same, of this model in this account.
 * - `shrink_bucket`: the limit is lower than believed, or others use it, too.
 * - `aimd`: the service is short of capacity. Halve the rate, and let it grow again slowly.
 */
export const breakerEffects = [
  'none',
  'transient',
  'latch_account',
  'latch_model',
  'shrink_bucket',
  'aimd',
] as const;
export type BreakerEffect = (typeof breakerEffects)[number];
