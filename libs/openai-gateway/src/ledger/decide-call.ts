/** What an owner may do about a call, from what the ledger says of it. Pure. */
import type { CallFailure } from '../model-call.js';
import type { LedgerCall } from './ledger-call.js';

export interface DecideFacts {
  /** Of the claim under which we work. */
  readonly fence: bigint;
  readonly whenUnknown: 'hold' | 'resend';
  /** Sendings of one call at most, the first included. */
  readonly maxSendings: number;
  /** For how long after a sending OpenAI's webhook may still tell what became of it; 0: nobody will. */
  readonly toldWithinMs: number;
}

export type CallDecision =
  /** A later claim has taken the run. */
  | { readonly kind: 'not_owner' }
  /** A cancel is requested, and nothing was sent yet. */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'send'; readonly from: 'planned' | 'unknown'; readonly attempt: number }
  /** OpenAI has it: fetch it by its id, pay nothing. */
  | { readonly kind: 'pick_up'; readonly responseId: string; readonly sentAgoMs: number }
  | { readonly kind: 'reuse'; readonly call: Extract<LedgerCall, { state: 'done' }> }
  /** Somebody was sending and has not lived to say what came of it: write that down, then decide again. */
  | { readonly kind: 'mark_unknown'; readonly attempt: number }
  /** Its outcome is unknown, and may still be told. */
  | { readonly kind: 'await_webhook'; readonly leftMs: number }
  /** It ended badly before, or its outcome is unknown and it is not to be sent again. */
  | { readonly kind: 'failed'; readonly failure: CallFailure };

export function decideCall(call: LedgerCall, facts: DecideFacts): CallDecision {
  if (call.fence > facts.fence) return { kind: 'not_owner' };
  switch (call.state) {
    case 'planned':
      return call.cancelRequested
        ? { kind: 'stopped' }
        : { kind: 'send', from: 'planned', attempt: call.attemptCount + 1 };
    case 'sending':
      return { kind: 'mark_unknown', attempt: call.attemptCount };
    case 'accepted':
      return { kind: 'pick_up', responseId: call.responseId, sentAgoMs: call.sentAgoMs };
    case 'unknown':
      return decideUnknown(call, facts);
    case 'done':
      return { kind: 'reuse', call };
    case 'failed':
    case 'cancelled':
      return { kind: 'failed', failure: call.failure };
  }
}

/** First whoever may know, then the policy: nothing is sent again while the first sending may still be told of. */
function decideUnknown(
  call: Extract<LedgerCall, { state: 'unknown' }>,
  { whenUnknown, maxSendings, toldWithinMs }: DecideFacts,
): CallDecision {
  const { attemptCount, failure } = call;
  if (call.cancelRequested) return { kind: 'failed', failure };
  const leftMs = toldWithinMs - call.sentAgoMs;
  if (leftMs > 0) return { kind: 'await_webhook', leftMs };
  return whenUnknown === 'resend' && attemptCount < maxSendings
    ? { kind: 'send', from: 'unknown', attempt: attemptCount + 1 }
    : { kind: 'failed', failure };
}
