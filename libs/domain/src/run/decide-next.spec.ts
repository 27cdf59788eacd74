import fc from 'fast-check';
import { failureClasses, failureRules, type FailureClass } from '../failure/failure-class.js';
import { defaultRetryPolicy, type FailedTry } from '../retry/retry-policy.js';
import { SHORT_WAIT_MS } from '../retry/retry-tiers.js';
import { decideNext, finalFate } from './decide-next.js';

const NOW = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;

const anyRandom = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const anyFailedTry: fc.Arbitrary<FailedTry> = fc.record({
  class: fc.constantFrom(...failureClasses),
  attempt: fc.integer({ min: 1, max: 6 }),
  tries: fc.integer({ min: 1, max: 20 }),
  firstFailedAtMs: fc.integer({ min: NOW - 13 * HOUR_MS, max: NOW }),
  retryAfterMs: fc.option(fc.integer({ min: 0, max: HOUR_MS })),
  deadlineAtMs: fc.option(fc.integer({ min: NOW - HOUR_MS, max: NOW + HOUR_MS })),
});

const aFailure = (failureClass: FailureClass, changes: Partial<FailedTry> = {}): FailedTry => ({
  class: failureClass,
  attempt: 1,
  tries: 1,
  firstFailedAtMs: NOW,
  retryAfterMs: null,
  deadlineAtMs: null,
  ...changes,
});

describe('what becomes of a run after a failed pass', () => {
  it('is never "failed" where support or an operator can mend it', () => {
    fc.assert(
      fc.property(anyFailedTry, anyRandom, (failed, random) => {
        const next = decideNext(failed, defaultRetryPolicy, NOW, random);
        if (next.kind !== 'failed') return;
        expect(['caller', 'nobody']).toContain(failureRules[next.class].whoMustAct);
      }),
    );
  });

  it('is a wait here exactly where the wait is short', () => {
    fc.assert(
      fc.property(anyFailedTry, anyRandom, (failed, random) => {
        const next = decideNext(failed, defaultRetryPolicy, NOW, random);
        if (next.kind === 'wait_here') expect(next.delayMs).toBeLessThan(SHORT_WAIT_MS);
        if (next.kind === 'retry_later') expect(next.delayMs).toBeGreaterThanOrEqual(SHORT_WAIT_MS);
      }),
    );
  });

  it('keeps the class that it stopped at, but for the deadline, which has its own', () => {
    fc.assert(
      fc.property(anyFailedTry, anyRandom, (failed, random) => {
        const next = decideNext(failed, defaultRetryPolicy, NOW, random);
        if (next.kind !== 'needs_review' && next.kind !== 'failed') return;
        const expected = next.stopped === 'deadline' ? 'deadline_exceeded' : failed.class;
        expect(next.class).toBe(expected);
      }),
    );
  });

  it('shows a person what used up its attempts', () => {
    expect(decideNext(aFailure('timeout', { attempt: 5 }), defaultRetryPolicy, NOW, 0)).toEqual({
      kind: 'needs_review',
      class: 'timeout',
      stopped: 'attempts_used_up',
    });
  });

  it('shows a person what was throttled for too long', () => {
    const failed = aFailure('throttled', { firstFailedAtMs: NOW - 12 * HOUR_MS, retryAfterMs: 1 });
    expect(decideNext(failed, defaultRetryPolicy, NOW, 0)).toEqual({
      kind: 'needs_review',
      class: 'throttled',
      stopped: 'time_used_up',
    });
  });

  it('ends a run for good where the next try would come after its deadline', () => {
    const failed = aFailure('throttled', { retryAfterMs: 9_000, deadlineAtMs: NOW + 9_000 });
    expect(decideNext(failed, defaultRetryPolicy, NOW, 0)).toEqual({
      kind: 'failed',
      class: 'deadline_exceeded',
      stopped: 'deadline',
    });
  });

  it.each([
    ['throttled', 'throttled'],
    ['overloaded', 'throttled'],
    ['timeout', 'backoff'],
    ['contended', 'backoff'],
  ] as const)('waits after %s because of %s', (failureClass, reason) => {
    expect(decideNext(aFailure(failureClass), defaultRetryPolicy, NOW, 0.1)).toMatchObject({
      kind: 'wait_here',
      reason,
    });
  });
});

describe('the fate of a class', () => {
  it('is the one that the workflow moved it to', () => {
    const anyFate = fc.constantFrom('needs_review' as const, 'failed' as const);
    fc.assert(
      fc.property(fc.constantFrom(...failureClasses), anyFate, (failureClass, fate) => {
        const policy = { ...defaultRetryPolicy, fates: { [failureClass]: fate } };
        expect(finalFate(failureClass, policy)).toBe(fate);
        const next = decideNext(aFailure(failureClass), policy, NOW, 0);
        expect(next).toEqual({ kind: fate, class: failureClass, stopped: null });
      }),
    );
  });

  it('is "failed" of itself only for what trying again can never mend', () => {
    const failing = failureClasses.filter(
      (each) => finalFate(each, defaultRetryPolicy) === 'failed',
    );
    expect(failing).toEqual([
      'too_large',
      'policy',
      'deadline_exceeded',
      'discarded',
      'superseded',
    ]);
  });
});
