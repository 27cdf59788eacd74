/**
 * Follows a background response by its id until it ends, or until the call's deadline.
 *
 * (P1) Poll faults never fail a call: whatever goes wrong with a GET or a cancel, the call is paid for and goes on.
 *      Only OpenAI's own 404, said four times, means that the response is gone.
 * (P2) At the deadline: cancel, then GET. If it ended in the race, the paid result is taken.
 * (P3) Without a confirmed end OpenAI may still be working: that is said, never taken for a cancel.
 * (P4) The owner's signal ends the following at once; the response goes on at OpenAI.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { pollFaultOf } from '../classify/poll-faults.js';
import type { AnsweredExchange, Exchange } from './exchange.js';
import type { OpenAiEndpoint } from './openai-endpoint.js';
import { nextPollMs, type PollPolicy, readPollAfterMs } from './poll-schedule.js';
import { readResponse, type ResponseReading } from './read-response.js';

export interface FollowedResponse {
  readonly responseId: string;
  /** The answer to the POST; null where the response is picked up from the ledger. */
  readonly firstAnswer: AnsweredExchange | null;
  /** Monotonic clock. */
  readonly deadlineAtMs: number;
  /** Monotonic clock: still `queued` then, it counts as past its deadline. */
  readonly queuedDeadlineAtMs: number;
  readonly signal: AbortSignal;
}

export interface FollowPolicy extends PollPolicy {
  /** One GET or cancel. */
  readonly requestTimeoutMs: number;
  /** How long to try to have a cancel confirmed. */
  readonly cancelGraceMs: number;
}

export type EndedReading = Exclude<ResponseReading, { kind: 'pending' }>;

export type FollowEnd =
  | {
      readonly kind: 'ended';
      readonly reading: EndedReading;
      readonly requestId: string | null;
      /** We asked for the cancel, because the time was up. */
      readonly pastDeadline: boolean;
    }
  | { readonly kind: 'gone'; readonly requestId: string | null }
  /** (P3) */
  | { readonly kind: 'cancel_unconfirmed'; readonly requestId: string | null }
  | { readonly kind: 'aborted' };

export interface FollowParts {
  readonly endpoint: Pick<OpenAiEndpoint, 'retrieve' | 'cancel'>;
  readonly policy: FollowPolicy;
  readonly monotonicMs: () => number;
  readonly random: () => number;
  readonly onPollFault: (fault: Exclude<Exchange, AnsweredExchange>) => void;
}

export async function followResponse(
  followed: FollowedResponse,
  parts: FollowParts,
): Promise<FollowEnd> {
  const { signal, responseId } = followed;
  let last: Exchange | null = followed.firstAnswer;
  let goneSaid = 0;
  for (let polls = 0; ; polls += 1) {
    const reading = readExchange(last);
    if (reading !== null && reading.kind !== 'pending')
      return ended(reading, last, followed, parts);
    if (last !== null) {
      const deadlineAtMs =
        reading?.status === 'queued'
          ? Math.min(followed.deadlineAtMs, followed.queuedDeadlineAtMs)
          : followed.deadlineAtMs;
      const leftMs = deadlineAtMs - parts.monotonicMs();
      if (leftMs <= 0) return closeResponse(followed, parts);
      const facts = { polls, askedMs: askedMs(last), random: parts.random() };
      await pause(Math.min(nextPollMs(facts, parts.policy), leftMs), signal);
    }
    if (signal.aborted) return { kind: 'aborted' }; // (P4)
    last = await parts.endpoint.retrieve(responseId, limits(followed, parts));
    if (signal.aborted) return { kind: 'aborted' };
    if (last.kind !== 'answered') parts.onPollFault(last);
    const { goneAfter } = last.kind === 'answered' ? {} : pollFaultOf(last);
    goneSaid = goneAfter === undefined ? 0 : goneSaid + 1;
    if (goneSaid === goneAfter) return { kind: 'gone', requestId: last.requestId };
  }
}

/** Cancel, then GET, until one of them tells of an end (P2). */
export async function closeResponse(
  followed: Pick<FollowedResponse, 'responseId' | 'signal'>,
  parts: FollowParts,
): Promise<FollowEnd> {
  const { responseId, signal } = followed;
  const givenUpAtMs = parts.monotonicMs() + parts.policy.cancelGraceMs;
  let requestId: string | null = null;
  for (let tries = 0; ; tries += 1) {
    for (const operation of ['cancel', 'retrieve'] as const) {
      const exchange = await parts.endpoint[operation](responseId, limits(followed, parts));
      if (signal.aborted) return { kind: 'aborted' };
      const reading = readExchange(exchange);
      if (reading !== null && reading.kind !== 'pending')
        return ended(reading, exchange, { deadlineAtMs: -Infinity }, parts);
      if (exchange.kind !== 'answered') parts.onPollFault(exchange);
      requestId = exchange.requestId ?? requestId;
    }
    const leftMs = givenUpAtMs - parts.monotonicMs();
    if (leftMs <= 0) return { kind: 'cancel_unconfirmed', requestId }; // (P3)
    const facts = { polls: tries, askedMs: null, random: parts.random() };
    await pause(Math.min(nextPollMs(facts, parts.policy), leftMs), signal);
    if (signal.aborted) return { kind: 'aborted' };
  }
}

function ended(
  reading: EndedReading,
  exchange: Exchange | null,
  followed: Pick<FollowedResponse, 'deadlineAtMs'>,
  parts: FollowParts,
): FollowEnd {
  return {
    kind: 'ended',
    reading,
    requestId: exchange?.requestId ?? null,
    pastDeadline: parts.monotonicMs() >= followed.deadlineAtMs,
  };
}

const readExchange = (exchange: Exchange | null): ResponseReading | null =>
  exchange?.kind === 'answered' ? readResponse(exchange.response, exchange.requestId) : null;

const askedMs = (exchange: Exchange): number | null =>
  exchange.kind === 'no_answer' ? null : readPollAfterMs(exchange.headers, Date.now());

const limits = ({ signal }: Pick<FollowedResponse, 'signal'>, { policy }: FollowParts) => ({
  timeoutMs: policy.requestTimeoutMs,
  signal,
});

/** Ends early, without error, when the signal fires. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(Math.max(0, Math.ceil(ms)), undefined, { signal }).catch(() => undefined);
}
