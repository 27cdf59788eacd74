/** What the owner of a run may do about an effect, from what the ledger says of it. Pure. */
import type { DeliveryFailure } from '#libs/webhooks';
import type { LedgerEffect } from './effect-ledger.store.js';

export type EffectDecision =
  | { readonly kind: 'done'; readonly status: number }
  /** The run is to be cancelled: nothing more is sent. */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'send'; readonly from: LedgerEffect['state']; readonly attempt: number }
  /** Somebody was sending and has not lived to say what came of it: write that down, then decide again. */
  | { readonly kind: 'mark_unknown'; readonly attempt: number }
  | { readonly kind: 'failed'; readonly failure: DeliveryFailure };

/**
 * Only an idempotent effect is sent while an earlier sending of it may have been taken. Of one that is not, such a sending has
 * failed with `outcome_unknown`, which no policy tries again.
 *
 * @param isRetryable whether the run's policy tries a failure of this class again
 */
export function decideEffect(
  effect: LedgerEffect,
  isRetryable: (failure: DeliveryFailure) => boolean,
): EffectDecision {
  if (effect.state === 'done') return { kind: 'done', status: effect.status };
  if (effect.cancelRequested) return { kind: 'stopped' };
  const send = { kind: 'send', from: effect.state, attempt: effect.attempt + 1 } as const;
  switch (effect.state) {
    case 'planned':
      return send;
    case 'sending':
      return effect.idempotent ? send : { kind: 'mark_unknown', attempt: effect.attempt };
    case 'failed':
    case 'unknown': {
      const { failure } = effect;
      const mayHaveHappened = effect.state === 'unknown' && !effect.idempotent;
      return !mayHaveHappened && isRetryable(failure) ? send : { kind: 'failed', failure };
    }
  }
}
