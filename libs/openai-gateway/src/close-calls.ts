/**
 * Brings the open calls of a run that ends without them to an end, so that nothing of it goes on at OpenAI unseen.
 *
 * (K1) An accepted response is cancelled at OpenAI, then fetched. If it ended in the race, what was paid for is booked.
 * (K2) A request that this process still has on the wire is waited for: its reply brings the response id.
 * (K3) What another process was sending when it died is `unknown`. Its anchor tells: answered, it is booked; empty and free, it is
 *      deleted, and the call never was; locked, it is waited for as long as for a cancel. Without an anchor it stays unknown, and a
 *      webhook may tell what it cost.
 * (K4) What is not closed in time, as after a cancel that OpenAI does not confirm, stays as it is: it may go on, and be paid. Once its
 *      run has ended it is looked at again (leftovers.ts).
 */
import { ZERO_USD } from '#libs/domain';
import type { FieldLog } from '#libs/process';
import type { Accounts } from './accounts/accounts.js';
import { type AnchorWord, lookAtAnchor } from './anchors/look-at-anchor.js';
import { bookEnd, failureOf } from './book-end.js';
import type { GatewayTiming } from './gateway-options.js';
import type { CallLedger } from './ledger/call-ledger.store.js';
import type { OpenCall } from './ledger/open-calls.js';
import { estimateUsage } from './money/estimate-tokens.js';
import type { PriceTable } from './money/price-table.js';
import { closeResponse, type FollowEnd, pause } from './openai/follow-response.js';
import { nextPollMs } from './openai/poll-schedule.js';

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
  const isClosed = await bringToEnd(call, signal, parts);
  const { callId, account, anchor } = call;
  if (isClosed && anchor !== null) parts.accounts.of(account).anchors?.remove({ callId, anchor });
  return isClosed;
}

async function bringToEnd(
  call: OpenCall,
  signal: AbortSignal,
  parts: CloseParts,
): Promise<boolean> {
  const { callId, responseId, anchor } = call;
  if (call.state === 'sending') await markUnknown(call, parts); // (K3)
  if (call.state !== 'accepted' || responseId === null)
    return anchor !== null && closeByAnchor(call, anchor, signal, parts);
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

/** (K3) */
async function closeByAnchor(
  { callId, attempt, account }: OpenCall,
  anchor: string,
  signal: AbortSignal,
  { accounts, timing, ledger }: CloseParts,
): Promise<boolean> {
  const monotonicMs = () => performance.now();
  const givenUpAtMs = monotonicMs() + timing.cancelGraceMs;
  const { endpoint } = accounts.of(account);
  const look = { endpoint, timeoutMs: timing.requestTimeoutMs, monotonicMs };
  for (let polls = 0; !signal.aborted; polls += 1) {
    const word = await lookAtAnchor({ anchor, mayDelete: true }, look);
    if (word.kind === 'answer' || word.kind === 'part')
      return bookAnswer(word, { callId, attempt }, ledger);
    if (word.kind === 'never_taken') {
      const ids = { responseId: null, requestId: null };
      const said = failureOf({ kind: 'cancelled_on_request', ...ids });
      const failure = { ...said, paid: 'no', message: neverTaken } as const;
      const free = { usage: null, cost: ZERO_USD };
      return ledger.end({ state: 'cancelled', callId, attempt: null, failure, ...free });
    }
    const leftMs = givenUpAtMs - monotonicMs();
    if (leftMs <= 0) return false; // (K4)
    const policy = { firstMs: timing.firstPollMs, maxMs: timing.maxPollMs };
    const facts = { polls, askedMs: null, random: Math.random() };
    await pause(Math.min(nextPollMs(facts, policy), leftMs), signal);
  }
  return false;
}

const neverTaken = 'The request never came to OpenAI, and can no longer be taken there.';

/** The prompt is not at hand; what was asked stands beside the answer, but for the instructions. */
async function bookAnswer(
  word: Extract<AnchorWord, { kind: 'answer' | 'part' }>,
  sending: { readonly callId: string; readonly attempt: number },
  ledger: CallLedger,
): Promise<boolean> {
  const text = word.kind === 'part' ? word.text : word.output.text;
  const usage = await estimateUsage({ instructions: '', input: word.question }, text);
  const ids = { responseId: null, requestId: null };
  const found = { ...sending, usage, cost: null, estimated: true };
  if (word.kind === 'part') {
    const failure = failureOf({ kind: 'incomplete_response', reason: null, ...ids });
    return ledger.end({ state: 'failed', ...found, failure });
  }
  const { output } = word;
  return ledger.end({ state: 'done', ...found, ...ids, servedModel: 'unknown', output });
}
