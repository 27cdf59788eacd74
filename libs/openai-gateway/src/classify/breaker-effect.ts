/** What a failure says about the calls that come after it, to whoever governs the lane: the account, the model in it, the tier. */
export const breakerEffects = {
  none: 'it was about this one request',
  transient: 'a sample for the breaker: enough of them, and the lane is shut for a while',
  latch_account: 'no call of this account will succeed until somebody acts: all its lanes are shut',
  latch_model: 'the same, of this model in this account',
  shrink_bucket: 'the limit is lower than was believed, or others use it too: less is sent',
  aimd: 'the service is short of capacity: half as much is sent, growing again slowly',
} as const;
export type BreakerEffect = keyof typeof breakerEffects;
