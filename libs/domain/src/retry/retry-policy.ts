/**
 * Whether a failed try is made again, and when: bounded by attempts, by time and by the caller's deadline, whichever comes first.
 * A busy service uses up time and no attempts.
 */
import { failureRules, type FailureClass } from '../failure/failure-class.js';
import { fullJitterMs, type Backoff } from './backoff.js';

/** How often and how long a run is tried. A workflow overrides what it must. */
export interface RetryPolicy {
  /** Attempts that may be used up in all, the first one included. Throttling uses none. */
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  /** Longest time between the first failure and the last try; it bounds throttling too. */
  readonly maxElapsedMs: number;
  /** Classes whose fate this workflow moves. */
  readonly fates: Readonly<Partial<Record<FailureClass, 'needs_review' | 'failed'>>>;
}

export type RetryPolicyOverrides = Partial<RetryPolicy>;

const HOUR_MS = 3_600_000;

export const defaultRetryPolicy: RetryPolicy = {
  maxAttempts: 5,
  backoff: { firstDelayMs: 2_000, factor: 3, maxDelayMs: 600_000 },
  maxElapsedMs: 12 * HOUR_MS,
  fates: {},
};

export interface FailedTry {
  readonly class: FailureClass;
  /** Perhaps it was the service, and no fault of the run's: no attempt is used. Default: it was the run's own. */
  readonly isInDoubt?: boolean;
  /** 1-based number of the attempt that failed. */
  readonly attempt: number;
  /** Failures so far, this one included, throttled ones too: what backoff grows with. */
  readonly tries: number;
  /** Epoch ms of the run's first failure (this one's, if it is the first). */
  readonly firstFailedAtMs: number;
  /** What the service asked us to wait at least; null where it did not say. */
  readonly retryAfterMs: number | null;
  /** Epoch ms of the caller's deadline; null where there is none. */
  readonly deadlineAtMs: number | null;
}

export type RetryDecision =
  | { readonly kind: 'retry'; readonly delayMs: number; readonly nextAttempt: number }
  | { readonly kind: 'stop'; readonly because: StopReason };

export type StopReason = 'not_retryable' | 'attempts_used_up' | 'time_used_up' | 'deadline';

/** Again, and when? Or stop, and why? `now` in epoch ms, `random` uniform in [0, 1). */
export function decideRetry(
  failed: FailedTry,
  policy: RetryPolicy,
  now: number,
  random: number,
): RetryDecision {
  const rule = failureRules[failed.class];
  if (rule.fate !== 'retry' || policy.fates[failed.class]) {
    return { kind: 'stop', because: 'not_retryable' };
  }

  const isUsed = rule.usesAttempt && failed.isInDoubt !== true;
  const nextAttempt = isUsed ? failed.attempt + 1 : failed.attempt;
  if (nextAttempt > policy.maxAttempts) return { kind: 'stop', because: 'attempts_used_up' };

  // `Retry-After` is a minimum: jitter comes on top, so that those who were told the same time do not return together.
  const delayMs = (failed.retryAfterMs ?? 0) + fullJitterMs(policy.backoff, failed.tries, random);
  const nextAt = now + delayMs;
  if (failed.deadlineAtMs !== null && nextAt >= failed.deadlineAtMs) {
    return { kind: 'stop', because: 'deadline' };
  }
  if (nextAt - failed.firstFailedAtMs > policy.maxElapsedMs) {
    return { kind: 'stop', because: 'time_used_up' };
  }
  return { kind: 'retry', delayMs, nextAttempt };
}
