import fc from 'fast-check';
import { failureClasses, failureRules, type FailureClass } from '../failure/failure-class.js';
import {
  decideRetry,
  defaultRetryPolicy,
  type FailedTry,
  type RetryPolicy,
} from './retry-policy.js';

const NOW = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;

const anyClass = fc.constantFrom(...failureClasses);
const anyRandom = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const anyRetryAfterMs = fc.option(fc.integer({ min: 0, max: HOUR_MS }));
const anyPolicy: fc.Arbitrary<RetryPolicy> = fc.record({
  maxAttempts: fc.integer({ min: 1, max: 12 }),
  backoff: fc.record({
    firstDelayMs: fc.integer({ min: 1, max: 10_000 }),
    factor: fc.double({ min: 1, max: 5, noNaN: true }),
    maxDelayMs: fc.integer({ min: 1, max: HOUR_MS }),
  }),
  maxElapsedMs: fc.integer({ min: 0, max: 24 * HOUR_MS }),
  fates: fc.dictionary(anyClass, fc.constantFrom('needs_review', 'failed'), { maxKeys: 3 }),
});
const anyFailedTry: fc.Arbitrary<FailedTry> = fc.record({
  class: anyClass,
  isInDoubt: fc.boolean(),
  attempt: fc.integer({ min: 1, max: 15 }),
  tries: fc.integer({ min: 1, max: 100 }),
  firstFailedAtMs: fc.integer({ min: NOW - 48 * HOUR_MS, max: NOW }),
  retryAfterMs: anyRetryAfterMs,
  deadlineAtMs: fc.option(fc.integer({ min: NOW - HOUR_MS, max: NOW + 2 * HOUR_MS })),
});

const retryableClasses = failureClasses.filter((each) => failureRules[each].fate === 'retry');

describe('a retry', () => {
  it('never comes before Retry-After, at or after the deadline, nor after the time that policy allows', () => {
    fc.assert(
      fc.property(anyFailedTry, anyPolicy, anyRandom, (failed, policy, random) => {
        const decision = decideRetry(failed, policy, NOW, random);
        if (decision.kind !== 'retry') return;
        const nextAt = NOW + decision.delayMs;
        expect(decision.delayMs).toBeGreaterThanOrEqual(failed.retryAfterMs ?? 0);
        expect(nextAt).toBeLessThan(failed.deadlineAtMs ?? Infinity);
        expect(nextAt - failed.firstFailedAtMs).toBeLessThanOrEqual(policy.maxElapsedMs);
        expect(decision.nextAttempt).toBeLessThanOrEqual(policy.maxAttempts);
      }),
    );
  });

  it('is made only of classes that are safe to try again and that the workflow has not moved', () => {
    fc.assert(
      fc.property(anyFailedTry, anyPolicy, anyRandom, (failed, policy, random) => {
        if (decideRetry(failed, policy, NOW, random).kind !== 'retry') return;
        expect(failureRules[failed.class].fate).toBe('retry');
        expect(policy.fates[failed.class]).toBeUndefined();
      }),
    );
  });

  it('uses up one attempt, or none where the service is only busy', () => {
    fc.assert(
      fc.property(anyFailedTry, anyPolicy, anyRandom, (failed, policy, random) => {
        const decision = decideRetry(failed, policy, NOW, random);
        if (decision.kind !== 'retry') return;
        const used = decision.nextAttempt - failed.attempt;
        const isUsed = failureRules[failed.class].usesAttempt && failed.isInDoubt !== true;
        expect(used).toBe(isUsed ? 1 : 0);
      }),
    );
    expect(retryableClasses.filter((each) => !failureRules[each].usesAttempt)).toEqual([
      'throttled',
      'overloaded',
      'contended',
      'lease_lost',
    ]);
  });

  it('is refused where the deadline would pass before it, whatever else policy allows', () => {
    const failed = { ...aFailure('throttled'), retryAfterMs: 60_000, deadlineAtMs: NOW + 60_000 };
    const generous = { ...defaultRetryPolicy, maxAttempts: 100, maxElapsedMs: Infinity };
    expect(decideRetry(failed, generous, NOW, 0)).toEqual({ kind: 'stop', because: 'deadline' });
    const later = { ...failed, deadlineAtMs: NOW + 60_001 };
    expect(decideRetry(later, generous, NOW, 0)).toMatchObject({ kind: 'retry', delayMs: 60_000 });
  });

  it('adds its jitter to Retry-After', () => {
    const failed = { ...aFailure('throttled'), retryAfterMs: 10_000 };
    expect(decideRetry(failed, defaultRetryPolicy, NOW, 0.5)).toEqual({
      kind: 'retry',
      delayMs: 11_000,
      nextAttempt: 1,
    });
  });
});

/** Fails on and on, each time with the next class of the list, and waits as it is told. */
function failOnAndOn(
  classes: readonly FailureClass[],
  policy: RetryPolicy,
  random: number,
  callMs: number,
) {
  let [now, attempt, tries] = [NOW, 1, 0];
  for (;;) {
    const failed = { ...aFailure(classes[tries % classes.length]!), attempt, tries: ++tries };
    const decision = decideRetry(failed, policy, now, random);
    if (decision.kind === 'stop') return { because: decision.because, tries, now };
    attempt = decision.nextAttempt;
    now += decision.delayMs + callMs;
  }
}

function aFailure(failureClass: FailureClass): FailedTry {
  const nothing = { retryAfterMs: null, deadlineAtMs: null };
  return { class: failureClass, attempt: 1, tries: 1, firstFailedAtMs: NOW, ...nothing };
}

describe('a run that fails on and on', () => {
  const policies = fc.record({
    maxAttempts: fc.integer({ min: 1, max: 10 }),
    backoff: fc.constant({ firstDelayMs: 1_000, factor: 3, maxDelayMs: 600_000 }),
    maxElapsedMs: fc.integer({ min: 60_000, max: 2 * HOUR_MS }),
    fates: fc.constant({}),
  });
  const attemptUsing = retryableClasses.filter((each) => failureRules[each].usesAttempt);

  it('stops after maxAttempts tries where each failure uses one', () => {
    const classes = fc.array(fc.constantFrom(...attemptUsing), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(classes, policies, anyRandom, (sequence, policy, random) => {
        const end = failOnAndOn(sequence, { ...policy, maxElapsedMs: Infinity }, random, 0);
        expect(end).toMatchObject({ because: 'attempts_used_up', tries: policy.maxAttempts });
      }),
    );
  });

  it('stops by time where it is throttled for ever, and not by attempts', () => {
    fc.assert(
      fc.property(policies, anyRandom, (policy, random) => {
        const end = failOnAndOn(['throttled', 'overloaded'], policy, random, 1_000);
        expect(end.because).toBe('time_used_up');
        expect(end.now - NOW).toBeLessThanOrEqual(policy.maxElapsedMs + 1_000);
      }),
    );
  });

  it('stops for any mixture of retryable failures, within attempts and time', () => {
    const classes = fc.array(fc.constantFrom(...retryableClasses), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(classes, policies, anyRandom, (sequence, policy, random) => {
        const end = failOnAndOn(sequence, policy, random, 1_000);
        expect(['attempts_used_up', 'time_used_up']).toContain(end.because);
        expect(end.now - NOW).toBeLessThanOrEqual(policy.maxElapsedMs + 1_000);
      }),
    );
  });
});
