/**
 * From OpenAI's word that it has the call to the call's end.
 *
 * (F1) A response id is stored before anything else is done with the response.
 */
import { pauseAt } from '#libs/pause-points';
import { pollFaultOf } from '../classify/poll-faults.js';
import { lookAtAnchor } from '../anchors/look-at-anchor.js';
import type { AnsweredExchange } from '../openai/exchange.js';
import { followResponse, pause, type FollowEnd } from '../openai/follow-response.js';
import { lookAgain, type CallAtHand, type Step } from './call-at-hand.js';
import { completeCall, endByAnchor, failCall } from './end-call.js';

/** A response that OpenAI no longer has: so often its anchor is asked for the answer. */
const goneLooks = 3;

/** @param sentAtMs monotonic */
export async function acceptCall(
  call: CallAtHand,
  answer: AnsweredExchange,
  sentAtMs: number,
  anchor: string | null,
): Promise<Step> {
  const { callId, account, parts } = call;
  const { ledger, log, timing } = parts;
  const { id: responseId } = answer.response;
  const held = await ledger.markAccepted({ callId, responseId, requestId: answer.requestId }); // (F1)
  pauseAt('call.accepted');
  if (held === responseId)
    return followCall(call, responseId, answer, performance.now() - sentAtMs, anchor);
  log.warn({ callId, responseId, held }, 'another sending of this call was accepted first');
  await account.endpoint.cancel(responseId, { timeoutMs: timing.requestTimeoutMs });
  return lookAgain;
}

/** @param firstAnswer null: it is picked up from the ledger */
export async function followCall(
  call: CallAtHand,
  responseId: string,
  firstAnswer: AnsweredExchange | null,
  sentAgoMs: number,
  anchor: string | null,
): Promise<Step> {
  const { callId, request, owner, account, parts } = call;
  const { timing, log } = parts;
  const sentAtMs = performance.now() - sentAgoMs;
  const end = await followResponse(
    {
      responseId,
      firstAnswer,
      deadlineAtMs: sentAtMs + request.callTimeoutMs,
      queuedDeadlineAtMs: sentAtMs + timing.queuedTimeoutMs,
      signal: owner.signal,
    },
    {
      endpoint: account.endpoint,
      policy: { ...timing, firstMs: timing.firstPollMs, maxMs: timing.maxPollMs },
      monotonicMs: () => performance.now(),
      random: Math.random,
      onPollFault: (fault) => {
        const { kind, requestId } = fault;
        const what =
          fault.kind === 'refused' ? { httpStatus: fault.status } : { cause: fault.cause };
        log.debug({ callId, responseId, requestId, kind, ...what }, 'poll fault');
        if (pollFaultOf(fault).breaker === 'latch_account')
          parts.onPollRefused(call.classify(fault), account.name);
      },
    },
  );
  return settleCall(call, responseId, end, anchor);
}

export async function settleCall(
  call: CallAtHand,
  responseId: string,
  end: FollowEnd,
  anchor: string | null,
): Promise<Step> {
  if (end.kind === 'aborted') return { kind: 'aborted' };
  const ids = { responseId, requestId: end.requestId };
  if (end.kind === 'cancel_unconfirmed') {
    // Stays accepted: whoever asks again looks it up by its id.
    const failure = call.classify({ kind: 'deadline_passed', cancelConfirmed: false, ...ids });
    call.logFailure(failure);
    return { kind: 'failed', callId: call.callId, failure };
  }
  if (end.kind === 'gone') return endGone(call, ids, anchor);
  const { reading, pastDeadline } = end;
  switch (reading.kind) {
    case 'completed':
      return completeCall(call, { ...reading, ...ids }, anchor);
    case 'ended_badly':
      return failCall(call, 'failed', reading.fact, reading, anchor);
    case 'cancelled': {
      const fact = pastDeadline
        ? ({ kind: 'deadline_passed', cancelConfirmed: true, ...ids } as const)
        : ({ kind: 'cancelled_elsewhere', ...ids } as const);
      return failCall(call, 'cancelled', fact, nothingSaid, anchor);
    }
  }
}

const nothingSaid = { usage: null, bill: null };

/** OpenAI no longer has the response: what it said may stand on its anchor. */
async function endGone(
  call: CallAtHand,
  ids: { readonly responseId: string; readonly requestId: string | null },
  anchor: string | null,
): Promise<Step> {
  const { callId, owner, parts, account } = call;
  const { timing, log } = parts;
  const { endpoint } = account;
  const asked = { endpoint, timeoutMs: timing.requestTimeoutMs, monotonicMs };
  for (let looks = 0; anchor !== null && looks < goneLooks; looks += 1) {
    const word = await lookAtAnchor({ anchor, mayDelete: false }, asked);
    if (word.kind === 'answer' || word.kind === 'part')
      return endByAnchor(call, word, { attempt: null, anchor, responseId: ids.responseId });
    if (word.kind !== 'unclear') break;
    log.debug({ callId, anchor }, 'an anchor did not answer');
    await pause(timing.firstPollMs, owner.signal);
    if (owner.signal.aborted) return { kind: 'aborted' };
  }
  return failCall(call, 'failed', { kind: 'response_gone', ...ids }, nothingSaid, anchor);
}

const monotonicMs = () => performance.now();
