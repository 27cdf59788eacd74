/**
 * One sending of a call: its turn, its money, the ledger's `sending`, the socket, and what came back.
 *
 * (S1) `sending` is committed as the last thing before the socket; then the lease is looked at once more. If it is gone,
 *      nothing leaves and the ledger says so.
 * (S2) The owner's signal does not end a request that is on its way: what comes back is written down, for the next owner.
 */
import { pauseAt } from '#libs/pause-points';
import { mayFailOver, mayGoElsewhere } from '../accounts/decide-failover.js';
import type { CallFact } from '../classify/call-fact.js';
import type { Sending } from '../ledger/call-ledger.store.js';
import type { CallFailure } from '../model-call.js';
import { budgetFailure, unpricedFailure } from '../money/budget.js';
import { costOfEnd } from '../money/cost-of-end.js';
import { buildRequest } from '../openai/build-request.js';
import type { AnsweredExchange, Exchange } from '../openai/exchange.js';
import { pause } from '../openai/follow-response.js';
import { readResponse } from '../openai/read-response.js';
import { lookAgain, type CallAtHand, type Step } from './call-at-hand.js';
import { acceptCall, settleCall } from './follow-call.js';
import { moveCall, rerouteCall } from './reroute-call.js';

/** What Node's timers can count. */
const maxTimerMs = 2_147_483_647;

/** @param before the anchor of the sending before */
export async function sendCall(
  call: CallAtHand,
  wanted: Sending,
  before: string | null,
): Promise<Step> {
  const { owner, parts, anchors } = call;
  const { passage, timing, accounts } = parts;
  if (wanted.from === 'unknown')
    await pause(timing.resendPauseMs * (wanted.attempt - 1) * (1 + Math.random()), owner.signal);
  const isFirst = wanted.from === 'planned'; // one that may have been taken stays with its account
  const others = isFirst ? accounts.later(call.request.model, call.account.name) : [];
  const shut = await passage.enter(owner.signal, others);
  if (shut?.kind === 'moved') {
    const isMoved = await moveCall(call, accounts.of(shut.account), null, before);
    if (!isMoved) passage.moveTo(call.account.name);
    return lookAgain;
  }
  const goesOn = shut !== null && isFirst && mayGoElsewhere(shut, Date.now());
  if (goesOn && (await rerouteCall(call, null, before))) return lookAgain;
  const reason = call.reasonNotToSend() ?? shut;
  if (reason !== null) return reason;
  const anchor = wanted.anchor ?? (await call.takeAnchor());
  const sending = { ...wanted, anchor };
  const refusal = await markPaidSending(call, sending);
  if (refusal !== null) {
    if (anchor !== wanted.anchor) anchors.keep(anchor);
    return refusal;
  }
  if (before !== anchor) anchors.remove(before); // refuses the sending before, should it still come
  return postCall(call, sending);
}

/** Null: it is marked as being sent, and what it may cost is reserved. */
async function markPaidSending(call: CallAtHand, sending: Sending): Promise<Step | null> {
  const { ledger, worstCost: reserved, budgets, prices } = call.parts;
  const { model, budget } = call.request;
  if (reserved === null) return refuse(call, unpricedFailure(model, prices.knownModels()));
  if (budgets.length === 0) return (await ledger.markSending(sending, reserved)) ? null : lookAgain;
  const within = await ledger.markSendingWithin({ ...sending, reserved, budgets });
  switch (within.kind) {
    case 'reserved':
      return null;
    case 'not_ours':
      return lookAgain;
    case 'refused':
      return refuse(call, budgetFailure(within, reserved, budget.triesByPolicy));
  }
}

/** By us: the ledger keeps it as it is, and it can be sent once there is money. */
function refuse(call: CallAtHand, failure: CallFailure): Step {
  call.logFailure(failure);
  return { kind: 'failed', callId: call.callId, failure };
}

/** The ledger says that it is being sent. */
export async function postCall(call: CallAtHand, sending: Sending): Promise<Step> {
  const { callId, request, account, mode, parts } = call;
  const { ledger, passage } = parts;
  const body = buildRequest({ ...request, mode }, callId, sending.attempt, sending.anchor);
  const after = call.reasonNotToSend(); // (S1)
  if (after !== null) {
    await ledger.putBack(sending);
    return after;
  }
  pauseAt('call.sending');
  passage.sent();
  const sentAtMs = performance.now();
  const exchange = await account.endpoint.create(body, { timeoutMs: postTimeoutMs(call) }); // (S2)
  pauseAt('call.replied');
  passage.answered(exchange);
  return takeReply(call, exchange, sending, sentAtMs);
}

function postTimeoutMs({ mode, request, parts }: CallAtHand): number {
  const { callTimeoutMs } = request;
  const { requestTimeoutMs } = parts.timing;
  const limitMs = mode === 'background' ? Math.min(requestTimeoutMs, callTimeoutMs) : callTimeoutMs;
  return Math.max(1, Math.min(maxTimerMs, Math.ceil(limitMs)));
}

async function takeReply(
  call: CallAtHand,
  exchange: Exchange,
  sending: Sending,
  sentAtMs: number,
): Promise<Step> {
  if (exchange.kind !== 'answered') return endSending(call, onAnchor(exchange, sending), sending);
  if (call.mode === 'background') return acceptCall(call, exchange, sentAtMs, sending.anchor);
  const { response, requestId } = exchange;
  const reading = readResponse(response, requestId);
  if (reading.kind !== 'pending') {
    const end = { kind: 'ended', reading, requestId, pastDeadline: false } as const;
    return settleCall(call, response.id, end, sending.anchor);
  }
  const noEnd = { kind: 'no_answer', requestLeft: true, cause: 'not_ended' } as const;
  return endSending(call, { ...noEnd, httpStatus: 200, requestId }, sending);
}

/** The anchor is for this call alone: who says that it is in use says that the request was taken before, and its reply lost. */
function onAnchor(exchange: Exclude<Exchange, AnsweredExchange>, { anchor }: Sending): CallFact {
  if (anchor === null || exchange.kind !== 'refused' || exchange.code !== 'conversation_locked')
    return exchange;
  const { status: httpStatus, requestId, code: cause } = exchange;
  return { kind: 'no_answer', requestLeft: true, cause, httpStatus, requestId };
}

/** The sending came to nothing, or nobody knows to what. */
async function endSending(
  call: CallAtHand,
  fact: CallFact,
  { attempt, anchor }: Sending,
): Promise<Step> {
  const { callId, request, parts, anchors } = call;
  const failure = call.classify(fact);
  const state = failure.class === 'outcome_unknown' ? 'unknown' : 'failed';
  call.logFailure(failure);
  if (state === 'unknown') parts.passage.lost(failure);
  if (attempt === 1 && mayFailOver(failure) && (await rerouteCall(call, failure, anchor)))
    return lookAgain;
  const cost = costOfEnd(null, failure, request.model, parts.prices);
  const end = { state, callId, attempt, failure, usage: null, cost } as const;
  const ended = await parts.ledger.end(end);
  if (!ended || state !== 'failed') return lookAgain;
  anchors.remove(anchor);
  return { kind: 'failed', callId, failure };
}
