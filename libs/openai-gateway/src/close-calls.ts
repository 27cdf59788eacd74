/**
 * Brings the open calls of a run that is to be cancelled to an end, so that nothing of it goes on at OpenAI unseen.
 *
 * (K1) An accepted response is cancelled at OpenAI, then fetched. If it ended in the race, what was paid for is booked.
 * (K2) A request that this process still has on the wire is waited for: its reply brings the response id.
 * (K3) What another process was sending when it died stays `unknown`: nothing in the ledger tells what became of it. Where
 *      webhooks are on, they tell later what it cost.
 * (K4) A cancel that OpenAI does not confirm in time leaves the call `accepted`: it may go on, and be paid. The same then.
 */
import type { FieldLog } from '#libs/process';
import type { Accounts } from './accounts/accounts.js';
import { bookEnd, failureOf } from './book-end.js';
import type { GatewayTiming } from './gateway-options.js';
import type { CallLedger } from './ledger/call-ledger.store.js';
import type { OpenCall } from './ledger/open-calls.js';
import type { PriceTable } from './money/price-table.js';
import { closeResponse, type FollowEnd } from './openai/follow-response.js';

export interface CloseParts {
  readonly ledger: CallLedger;
  readonly prices: PriceTable;
  readonly accounts: Accounts;
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
      endpoint: parts.accounts.of(call.account).endpoint,
      policy: { ...parts.timing, firstMs: parts.timing.firstPollMs, maxMs: parts.timing.maxPollMs },
      monotonicMs: () => performance.now(),
      random: Math.random,
      onPollFault: ({ kind, requestId }) =>
        parts.log.debug({ callId, responseId, requestId, kind }, 'cancelling met a fault'),
    },
  ); // (K1)
  return book(call, responseId, end, parts);
}

async function markUnknown({ callId, attempt }: OpenCall, { ledger }: CloseParts): Promise<void> {
  const failure = failureOf({ kind: 'sender_died' });
  await ledger.end({ state: 'unknown', callId, attempt, failure, usage: null, cost: null });
}

/** @returns whether the call has come to its end */
async function book(
  { callId, model }: OpenCall,
  responseId: string,
  end: FollowEnd,
  { ledger, prices, log }: CloseParts,
): Promise<boolean> {
  if (end.kind === 'aborted') return false;
  if (end.kind === 'cancel_unconfirmed') {
    log.warn({ callId, responseId }, 'OpenAI did not confirm a cancel; the call may go on'); // (K4)
    return false;
  }
  const reading = end.kind === 'gone' ? end : end.reading;
  const { requestId } = end;
  const cancelled = 'cancelled_on_request';
  await bookEnd({ callId, model, responseId, requestId, reading, cancelled }, ledger, prices);
  return true;
}
