/** From how a pass ended to what is written down. Pure but for the hash of the fingerprint. */
import { createHash } from 'node:crypto';
import {
  decideNext,
  failureRules,
  finalFate,
  fingerprintSource,
  type NextMove,
  type RetryPolicy,
  type RunFailure,
} from '#libs/domain';
import type { FinalOutcome, ShortWait } from './outcome.js';
import type { ItemFailure, Pass } from './pass.js';

/** Where the run stands with its tries; short waits in the process move it on without a new claim. */
export interface Standing {
  readonly attempt: number;
  /** Failures before this pass. */
  readonly tries: number;
  readonly firstFailedAtMs: number | null;
  /** Attempts that this claim has lost to faults that a breaker may open on. */
  readonly lostToFaults: number;
}

/** What a decision looks at of the run itself. */
export interface PolicyFacts {
  readonly workflow: string;
  readonly deadline_at: Date | null;
}

export type Decided =
  | FinalOutcome
  | ShortWait
  /** Somebody else has the run: not a word. */
  | { readonly kind: 'lost' };

/** `now` in epoch ms, `random` uniform in [0, 1). */
export function decideOutcome(
  pass: Pass,
  run: PolicyFacts,
  standing: Standing,
  policy: RetryPolicy,
  now: number,
  random: number,
): Decided {
  switch (pass.kind) {
    case 'finished':
      return { kind: 'completed', result: pass.result };
    case 'aborted':
      return afterAbort(pass.reason, run);
    case 'failed':
      return afterFailure(pass.failures, run, standing, policy, now, random);
    case 'parked':
      return afterParking(pass, run, standing, policy, now, random);
  }
}

/** An outage excuses what failed beside it, and before it under this claim. A wait does not: failures have their own bounds. */
function afterParking(
  { parked, model, failures: [first, ...rest] }: Extract<Pass, { kind: 'parked' }>,
  run: PolicyFacts,
  standing: Standing,
  policy: RetryPolicy,
  now: number,
  random: number,
): Decided {
  const { reason, because, untilMs } = parked;
  const isOutage = reason === 'outage';
  if (first && !isOutage) return afterFailure([first, ...rest], run, standing, policy, now, random);
  const attempt = isOutage ? standing.attempt - standing.lostToFaults : standing.attempt;
  const delayMs = untilMs === null ? null : Math.max(0, untilMs - now);
  return { kind: 'parked', reason, because, delayMs, attempt, model };
}

function afterAbort(
  reason: Extract<Pass, { kind: 'aborted' }>['reason'],
  run: PolicyFacts,
): Decided {
  switch (reason) {
    case 'lease_lost':
      return { kind: 'lost' };
    case 'released':
      return { kind: 'released' };
    case 'cancel_requested':
      return { kind: 'cancelled' };
    case 'deadline_passed':
      return { kind: 'failed', failure: runFailure(DEADLINE, run, 1) };
  }
}

/** All failures of a pass become one decision. */
function afterFailure(
  failures: readonly [ItemFailure, ...ItemFailure[]],
  run: PolicyFacts,
  standing: Standing,
  policy: RetryPolicy,
  now: number,
  random: number,
): Decided {
  const retryable = failures.filter((failure) => isRetryable(failure, policy));
  const lead = leadOf(failures, retryable, policy);
  const next = decideNext(
    {
      ...{ class: lead.class, isInDoubt: lead.isInDoubt ?? false },
      attempt: standing.attempt,
      tries: standing.tries + 1,
      firstFailedAtMs: standing.firstFailedAtMs ?? now,
      retryAfterMs: longest(retryable),
      deadlineAtMs: run.deadline_at?.getTime() ?? null,
    },
    policy,
    now,
    random,
  );
  return outcomeOf(next, lead, run, failures.length);
}

/**
 * The failure that speaks for the pass: where it is tried again, one that uses an attempt, if there is one; where it is not,
 * one that ends the run for good, if there is one. Of several the lowest item.
 */
function leadOf(
  failures: readonly [ItemFailure, ...ItemFailure[]],
  retryable: readonly ItemFailure[],
  policy: RetryPolicy,
): ItemFailure {
  const [first] = retryable;
  if (first) return retryable.find(usesAttempt) ?? first;
  return failures.find((each) => finalFate(each.class, policy) === 'failed') ?? failures[0];
}

export function isRetryable(failure: Pick<ItemFailure, 'class'>, policy: RetryPolicy): boolean {
  return failureRules[failure.class].fate === 'retry' && !policy.fates[failure.class];
}

const usesAttempt = ({ class: failed, isInDoubt }: ItemFailure): boolean =>
  failureRules[failed].usesAttempt && isInDoubt !== true;

function longest(failures: readonly ItemFailure[]): number | null {
  const asked = failures.flatMap(({ retryAfterMs }) =>
    retryAfterMs === null ? [] : [retryAfterMs],
  );
  return asked.length === 0 ? null : Math.max(...asked);
}

function outcomeOf(next: NextMove, lead: ItemFailure, run: PolicyFacts, failed: number): Decided {
  switch (next.kind) {
    case 'wait_here':
    case 'retry_later': {
      const { delayMs, attempt, reason } = next;
      return { kind: next.kind, delayMs, attempt, reason, failure: runFailure(lead, run, failed) };
    }
    case 'needs_review':
    case 'failed': {
      const stopped = next.stopped ? `${next.stopped.replaceAll('_', ' ')}; last: ` : '';
      const said = { ...lead, class: next.class, message: `${stopped}${lead.message}` };
      return { kind: next.kind, failure: runFailure(said, run, failed) };
    }
  }
}

const DEADLINE: ItemFailure = {
  class: 'deadline_exceeded',
  code: 'deadline_exceeded',
  httpStatus: null,
  requestId: null,
  responseId: null,
  message: 'the deadline that the caller gave has passed',
  retryAfterMs: null,
  step: null,
  item: null,
};

const MAX_MESSAGE_CHARS = 1_000;

function runFailure(failure: ItemFailure, run: PolicyFacts, itemsFailed: number): RunFailure {
  const source = fingerprintSource(failure, run.workflow);
  return {
    class: failure.class,
    code: failure.code,
    httpStatus: failure.httpStatus,
    requestId: failure.requestId,
    responseId: failure.responseId,
    message: failure.message.slice(0, MAX_MESSAGE_CHARS),
    fingerprint: createHash('sha256').update(source).digest('hex').slice(0, 16),
    step: failure.step,
    item: failure.item,
    itemsFailed: failure.item === null ? null : itemsFailed,
  };
}
