/**
 * When to ask again after a response that is still at work: 1 s, growing by half up to 10 s, with jitter so that calls sent
 * together are not polled together. What OpenAI asks for goes before our own schedule. Pure.
 */
import { readRetryAfterMs } from '../classify/retry-after.js';

export interface PollPolicy {
  /** Before the first poll, and where the growth starts. Default 1,000. */
  readonly firstMs: number;
  /** Default 10,000. */
  readonly maxMs: number;
}

export interface PollFacts {
  /** Polls made so far, from 0. */
  readonly polls: number;
  /** `openai-poll-after-ms` or `Retry-After` of the last answer; null where it said neither. */
  readonly askedMs: number | null;
  /** From 0 up to 1. */
  readonly random: number;
}

const growth = 1.5;
/** A header gone wrong must not stop the polling of a call that is paid for. */
const maxAskedMs = 60_000;

export function nextPollMs({ polls, askedMs, random }: PollFacts, policy: PollPolicy): number {
  if (askedMs !== null) return Math.min(askedMs, maxAskedMs) * (1 + random * 0.2);
  const planned = Math.min(policy.maxMs, policy.firstMs * growth ** Math.min(polls, 64));
  return Math.min(policy.maxMs, planned * (0.8 + random * 0.4));
}

export function readPollAfterMs(headers: Headers, nowMs: number): number | null {
  const value = headers.get('openai-poll-after-ms');
  if (value !== null && /^\d{1,9}$/.test(value)) return Number(value);
  return readRetryAfterMs(headers, nowMs);
}
