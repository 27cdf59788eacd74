/** What an owner may do about a call, from what the ledger says of it. Pure. */
import type { AnchorLook } from '../anchors/look-at-anchor.js';
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
  readonly anchors: AnchorFacts;
}

export interface AnchorFacts {
  /** From a sending on: a call's own time limit. Before it is over nothing is deleted. */
  readonly callTimeoutMs: number;
  /** How long past that its anchor is asked. */
  readonly graceMs: number;
  /** How long a late answer to a fenced sending is waited for before the next one. */
  readonly settleMs: number;
  /** How often it was asked since then, by us. */
  readonly lateLooks: number;
}

export type CallDecision =
  /** A later claim has taken the run. */
  | { readonly kind: 'not_owner' }
  /** A cancel is requested, and nothing was sent yet. */
  | { readonly kind: 'stopped' }
  | {
      readonly kind: 'send';
      readonly from: 'planned' | 'unknown';
      readonly attempt: number;
      /** One that the call has already, and that was not used. */
      readonly anchor: string | null;
    }
  /** OpenAI has it: fetch it by its id, pay nothing. */
  | {
      readonly kind: 'pick_up';
      readonly responseId: string;
      readonly sentAgoMs: number;
      readonly anchor: string | null;
    }
  | { readonly kind: 'reuse'; readonly call: Extract<LedgerCall, { state: 'done' }> }
  /** Somebody was sending and has not lived to say what came of it: write that down, then decide again. */
  | { readonly kind: 'mark_unknown'; readonly attempt: number }
  /** Its outcome is unknown, and the conversation that it was sent on may tell. */
  | ({
      readonly kind: 'ask_anchor';
      readonly attempt: number;
      readonly leftMs: number;
    } & AnchorLook)
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
        : { kind: 'send', from: 'planned', attempt: call.attemptCount + 1, anchor: call.anchor };
    case 'sending':
      return { kind: 'mark_unknown', attempt: call.attemptCount };
    case 'accepted': {
      const { responseId, sentAgoMs, anchor } = call;
      return { kind: 'pick_up', responseId, sentAgoMs, anchor };
    }
    case 'unknown':
      return decideUnknown(call, facts);
    case 'done':
      return { kind: 'reuse', call };
    case 'failed':
    case 'cancelled':
      return { kind: 'failed', failure: call.failure };
  }
}

/** A call that never ran to an end is looked at so often after its time, where its anchor does not answer or says that it runs. */
const maxLateLooks = 3;

/** First its anchor, then whoever else may know, then the policy: nothing is sent again while the sending may still be told of. */
function decideUnknown(
  call: Extract<LedgerCall, { state: 'unknown' }>,
  { whenUnknown, maxSendings, toldWithinMs, anchors }: DecideFacts,
): CallDecision {
  const { attemptCount, failure, anchor, sentAgoMs, fencedAgoMs } = call;
  if (call.cancelRequested) return { kind: 'failed', failure };
  const failed = { kind: 'failed', failure } as const;
  const send = { kind: 'send', from: 'unknown', attempt: attemptCount + 1, anchor } as const;
  const mayResend = attemptCount < maxSendings;
  if (fencedAgoMs !== null) {
    const leftMs = Math.max(anchors.settleMs, toldWithinMs) - fencedAgoMs;
    if (leftMs > 0) return { kind: 'await_webhook', leftMs };
    return mayResend ? send : failed;
  }
  if (anchor !== null) {
    const isOver = sentAgoMs >= anchors.callTimeoutMs;
    const leftMs = anchors.callTimeoutMs + anchors.graceMs - sentAgoMs;
    if (leftMs > 0 || anchors.lateLooks < maxLateLooks)
      return { kind: 'ask_anchor', anchor, mayDelete: isOver, attempt: attemptCount, leftMs };
  }
  const leftMs = toldWithinMs - sentAgoMs;
  if (leftMs > 0) return { kind: 'await_webhook', leftMs };
  return whenUnknown === 'resend' && mayResend ? { ...send, anchor: null } : failed;
}
