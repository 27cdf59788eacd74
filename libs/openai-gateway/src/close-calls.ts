/**
 * Brings the open calls of a run that is to be cancelled to an end, so that nothing of it goes on at OpenAI unseen.
 *
 * (K1) An accepted response is cancelled at OpenAI, then fetched. If it ended in the race, what was paid for is booked.
 * (K2) A request that this process still has on the wire is waited for: its reply brings the response id.
 * (K3) What another process was sending when it died stays `unknown`: nothing in the ledger tells what became of it.
 * (K4) A cancel that OpenAI does not confirm in time leaves the call `accepted`: it may go on, and be paid.
 */
import { classifyFailure } from './classify/classify-failure.js';
import type { CallFact } from './classify/call-fact.js';
import type { FieldLog } from '#libs/process';
import type { GatewayTiming } from './gateway-options.js';
import type { CallLedger } from './ledger/call-ledger.store.js';
import type { OpenCall } from './ledger/open-calls.js';
import type { Usage } from './model-call.js';
import { closeResponse, type FollowEnd } from './openai/follow-response.js';
import type { OpenAiEndpoint } from './openai/openai-endpoint.js';

export interface CloseParts {
  readonly ledger: CallLedger;
  readonly endpoint: OpenAiEndpoint;
  readonly timing: GatewayTiming;
  readonly log: FieldLog;
}

/** What closing came to. */
export interface ClosedCalls {
  /** Ended now, with or without a result that was paid for. */
  readonly closed: number;
  /** May have been paid, or may still go on: (K3), (K4). */
  readonly leftOpen: number;
}

/** @param signal ends the closing early: the run is no longer ours */
export async function closeOpenCalls(
  calls: readonly OpenCall[],
  signal: AbortSignal,
  parts: CloseParts,
): Promise<ClosedCalls> {
  const closed = await Promise.all(calls.map((call) => closeOne(call, signal, parts)));
  const count = closed.filter(Boolean).length;
  return { closed: count, leftOpen: calls.length - count };
}

async function closeOne(call: OpenCall, signal: AbortSignal, parts: CloseParts): Promise<boolean> {
  const { callId, responseId } = call;
  if (call.state === 'sending') await markUnknown(call, parts); // (K3)
  if (call.state !== 'accepted' || responseId === null) return false;
  const end = await closeResponse(
    { responseId, signal },
    {
      endpoint: parts.endpoint,
      policy: { ...parts.timing, firstMs: parts.timing.firstPollMs, maxMs: parts.timing.maxPollMs },
      monotonicMs: () => performance.now(),
      random: Math.random,
      onPollFault: ({ kind, requestId }) =>
        parts.log.debug({ callId, responseId, requestId, kind }, 'cancelling met a fault'),
    },
  ); // (K1)
  return book(callId, responseId, end, parts);
}

async function markUnknown({ callId, attempt }: OpenCall, { ledger }: CloseParts): Promise<void> {
  const failure = failureOf({ kind: 'sender_died' });
  await ledger.end({ state: 'unknown', callId, attempt, failure, usage: null });
}

/** @returns whether the call has come to its end */
async function book(
  callId: string,
  responseId: string,
  end: FollowEnd,
  { ledger, log }: CloseParts,
): Promise<boolean> {
  if (end.kind === 'aborted') return false;
  const ids = { responseId, requestId: end.requestId };
  const fail = async (state: 'failed' | 'cancelled', fact: CallFact, usage: Usage | null) => {
    await ledger.end({ state, callId, attempt: null, failure: failureOf(fact), usage });
    return true;
  };
  if (end.kind === 'gone') return fail('failed', { kind: 'response_gone', ...ids }, null);
  if (end.kind === 'cancel_unconfirmed') {
    log.warn({ callId, responseId }, 'OpenAI did not confirm a cancel; the call may go on'); // (K4)
    return false;
  }
  const { reading } = end;
  switch (reading.kind) {
    case 'completed': {
      const { output, usage, model: servedModel } = reading;
      await ledger.end({ state: 'done', callId, ...ids, servedModel, output, usage });
      return true;
    }
    case 'ended_badly':
      return fail('failed', reading.fact, reading.usage);
    case 'cancelled':
      return fail('cancelled', { kind: 'cancelled_on_request', ...ids }, null);
  }
}

const failureOf = (fact: CallFact) => classifyFailure(fact, { nowMs: Date.now(), sentTexts: [] });
