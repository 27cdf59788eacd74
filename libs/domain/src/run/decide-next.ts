/**
 * What becomes of a run after a pass that failed: the retry decision, turned into where the run goes. A short wait stays with the
 * processor, a longer one goes through a retry topic; what is not tried again ends, or goes before a person.
 */
import { failureRules, type FailureClass } from '../failure/failure-class.js';
import {
  decideRetry,
  type FailedTry,
  type RetryPolicy,
  type StopReason,
} from '../retry/retry-policy.js';
import { SHORT_WAIT_MS } from '../retry/retry-tiers.js';
import type { WaitingReason } from './run-status.js';

export type RetryWaitReason = Extract<WaitingReason, 'backoff' | 'throttled'>;

/** What becomes of a run after a pass that did not finish it. */
export type NextMove =
  /** The wait is short: stay here, keep the lease, go on. */
  | ({ readonly kind: 'wait_here' } & RetryWait)
  /** Leave by a retry topic and come back. */
  | ({ readonly kind: 'retry_later' } & RetryWait)
  | ({ readonly kind: 'needs_review' | 'failed' } & RetryStop);

interface RetryWait {
  readonly delayMs: number;
  /** Of the next try. */
  readonly attempt: number;
  readonly reason: RetryWaitReason;
}

interface RetryStop {
  readonly class: FailureClass;
  /** What was used up; null where the class is never tried again. */
  readonly stopped: Exclude<StopReason, 'not_retryable'> | null;
}

/** One decision for one failed pass. Throws nothing, knows no clock: `now` in epoch ms, `random` in [0, 1). */
export function decideNext(
  failed: FailedTry,
  policy: RetryPolicy,
  now: number,
  random: number,
): NextMove {
  const decision = decideRetry(failed, policy, now, random);
  if (decision.kind === 'retry') {
    return {
      kind: decision.delayMs < SHORT_WAIT_MS ? 'wait_here' : 'retry_later',
      delayMs: decision.delayMs,
      attempt: decision.nextAttempt,
      reason: waitReasonOf(failed.class),
    };
  }
  switch (decision.because) {
    case 'deadline':
      return { kind: 'failed', class: 'deadline_exceeded', stopped: decision.because };
    case 'attempts_used_up':
    case 'time_used_up':
      return { kind: 'needs_review', class: failed.class, stopped: decision.because };
    case 'not_retryable':
      return { kind: finalFate(failed.class, policy), class: failed.class, stopped: null };
  }
}

/** How a class ends when it is not tried again. */
export function finalFate(
  failureClass: FailureClass,
  policy: RetryPolicy,
): 'needs_review' | 'failed' {
  const moved = policy.fates[failureClass];
  if (moved) return moved;
  return failureRules[failureClass].fate === 'failed' ? 'failed' : 'needs_review';
}

function waitReasonOf(failureClass: FailureClass): RetryWaitReason {
  return failureClass === 'throttled' || failureClass === 'overloaded' ? 'throttled' : 'backoff';
}
