/** One model call being carried through under one claim: look into the ledger, decide, do one thing, look again. */
import { pauseAt } from '#libs/pause-points';
import type { Opening } from '../ledger/call-ledger.store.js';
import { type CallDecision, decideCall } from '../ledger/decide-call.js';
import type { CallOwner, ModelCallOutcome, ModelCallRequest } from '../model-call.js';
import { CallAtHand, lookAgain, type CallParts, type Step } from './call-at-hand.js';
import { followCall } from './follow-call.js';
import { LostCall } from './lost-call.js';
import { postCall, sendCall } from './send-call.js';

/** Sendings of one call at most where `whenUnknown` is `resend`. */
const maxSendings = 3;
/** Every round ends a state of the ledger; more rounds than states and sendings can only be a bug. */
const maxRounds = 16;

export class CallInProgress {
  readonly #call: CallAtHand;
  readonly #lost: LostCall;
  #isOpened = false;

  constructor(callId: string, request: ModelCallRequest, owner: CallOwner, parts: CallParts) {
    this.#call = new CallAtHand(callId, request, owner, parts);
    this.#lost = new LostCall(this.#call);
  }

  async carryThrough(): Promise<ModelCallOutcome> {
    let outcome: ModelCallOutcome | null = null;
    try {
      return (outcome = await this.#untilOutcome());
    } finally {
      this.#call.parts.passage.leave(outcome);
      this.#call.anchors.giveBack();
      this.#lost.endWait();
    }
  }

  async #untilOutcome(): Promise<ModelCallOutcome> {
    for (let round = 0; round < maxRounds;) {
      const step = await this.#round();
      if (step.kind === 'waited') continue; // it ends by the ledger's own clock
      if (step.kind !== 'look_again') return step;
      round += 1;
    }
    throw new CallUnsettledError(this.#call.callId);
  }

  async #round(): Promise<Step> {
    const { callId, owner, request, parts } = this.#call;
    const { fence } = owner;
    const { call, maySend } = await this.#open();
    this.#call.goWith(parts.accounts.of(call.account));
    const { anchor } = call;
    if (maySend)
      return postCall(this.#call, { callId, fence, from: 'planned', attempt: 1, anchor });
    const { whenUnknown, callTimeoutMs } = request;
    const { anchorGraceMs: graceMs, anchorSettleMs: settleMs } = parts.timing;
    const { lateLooks, toldWithinMs } = this.#lost;
    const anchors = { callTimeoutMs, graceMs, settleMs, lateLooks };
    const decision = decideCall(call, { fence, whenUnknown, maxSendings, toldWithinMs, anchors });
    return this.#act(decision, anchor);
  }

  /** New calls that may leave at once are made ready for it in the same statement. Budgets are asked when it comes to sending. */
  async #open(): Promise<Opening> {
    const { callId, request, owner, parts, anchors } = this.#call;
    const { ledger, accounts, passage, worstCost, budgets } = parts;
    const first = accounts.first(request.model);
    const ours = { callId, fence: owner.fence, account: first.name };
    const call = { ...request, ...ours, mode: this.#call.modeWith(first) };
    pauseAt('call.opening');
    const isNew = !this.#isOpened;
    this.#isOpened = true;
    const isFree = worstCost !== null && budgets.length === 0;
    if (isNew && isFree && this.#call.reasonNotToSend() === null && passage.tryEnter()) {
      const anchor = await this.#call.takeAnchor();
      const opening = await ledger.openSending(call, worstCost, anchor);
      if (!opening.maySend) anchors.keep(anchor);
      return opening;
    }
    return { call: await ledger.open(call), maySend: false };
  }

  /** @param anchor of the call's row */
  async #act(decision: CallDecision, anchor: string | null): Promise<Step> {
    const { callId, owner } = this.#call;
    switch (decision.kind) {
      case 'not_owner':
        return { kind: 'not_owner' };
      case 'stopped':
        return { kind: 'stopped' };
      case 'failed':
        return { kind: 'failed', callId, failure: decision.failure };
      case 'reuse': {
        this.#call.anchors.remove(anchor);
        const { output, usage, responseId, requestId, servedModel: model } = decision.call;
        const ids = { callId, responseId, requestId };
        return { kind: 'completed', ...ids, output, usage, model, reused: true };
      }
      case 'mark_unknown':
        return this.#markUnknown(decision.attempt);
      case 'ask_anchor':
        return this.#lost.askAnchor(decision, decision.attempt, decision.leftMs);
      case 'await_webhook':
        return this.#lost.awaitWord(decision.leftMs);
      case 'send':
        return sendCall(this.#call, { callId, ...decision, fence: owner.fence }, anchor);
      case 'pick_up':
        return followCall(this.#call, decision.responseId, null, decision.sentAgoMs, anchor);
    }
  }

  async #markUnknown(attempt: number): Promise<Step> {
    const { callId, parts } = this.#call;
    const failure = this.#call.classify({ kind: 'sender_died' });
    this.#call.logFailure(failure);
    const lost = { state: 'unknown', usage: null, cost: null } as const;
    await parts.ledger.end({ ...lost, callId, attempt, failure });
    return lookAgain;
  }
}

export class CallUnsettledError extends Error {
  override readonly name = 'CallUnsettledError';
  readonly code = 'call_unsettled';
  constructor(callId: string) {
    super(`call ${callId} changed in the ledger ${maxRounds} times without coming to an outcome`);
  }
}
