import fc from 'fast-check';
import { defaultRetryPolicy, failureClasses, type FailureClass } from '#libs/domain';
import { decideOutcome, isRetryable, type Standing } from './decide-outcome.js';
import type { ItemFailure, Pass } from './pass.js';

const NOW = Date.UTC(2026, 0, 1);
const run = { workflow: 'tender', deadline_at: null };
const fresh: Standing = { attempt: 1, tries: 0, firstFailedAtMs: null, lostToFaults: 0 };

const aFailure = (
  failureClass: FailureClass,
  item: number | null = null,
  changes: Partial<ItemFailure> = {},
): ItemFailure => ({
  class: failureClass,
  code: failureClass,
  httpStatus: null,
  requestId: null,
  responseId: null,
  message: `${failureClass} at ${item ?? 'the step'}`,
  retryAfterMs: null,
  step: 'extract',
  item,
  ...changes,
});
const failedWith = (first: ItemFailure, ...more: ItemFailure[]): Pass => ({
  kind: 'failed',
  failures: [first, ...more],
});
const decide = (pass: Pass, standing = fresh, policy = defaultRetryPolicy, random = 0) =>
  decideOutcome(pass, run, standing, policy, NOW, random);

describe('a pass that was not let through', () => {
  it('is lost without a word where the lease was', () => {
    expect(decide({ kind: 'aborted', reason: 'lease_lost' })).toEqual({ kind: 'lost' });
  });

  it('is given back at shutdown', () => {
    expect(decide({ kind: 'aborted', reason: 'released' })).toEqual({ kind: 'released' });
  });

  it('fails for good at the deadline of the caller', () => {
    expect(decide({ kind: 'aborted', reason: 'deadline_passed' })).toMatchObject({
      kind: 'failed',
      failure: { class: 'deadline_exceeded', item: null, itemsFailed: null },
    });
  });
});

describe('a pass whose call could not be sent', () => {
  const parked = (changes: Partial<Extract<Pass, { kind: 'parked' }>> = {}): Pass => ({
    ...{ kind: 'parked', model: 'gpt-5.2', failures: [] },
    parked: { reason: 'outage', because: 'no credit', untilMs: null },
    ...changes,
  });
  const throttled = { reason: 'throttled', because: 'busy', untilMs: NOW + 7_000 } as const;

  it('parks the run, which loses nothing, for as long as is known', () => {
    const tried = { ...fresh, attempt: 2 };
    const common = { kind: 'parked', attempt: 2, model: 'gpt-5.2' };
    const outage = { reason: 'outage', because: 'no credit', delayMs: null };
    expect(decide(parked(), tried)).toEqual({ ...common, ...outage });
    const busy = { reason: 'throttled', because: 'busy', delayMs: 7_000 };
    expect(decide(parked({ parked: throttled }), tried)).toEqual({ ...common, ...busy });
  });

  it('gives back the attempts that the same outage has cost this claim', () => {
    const tried = { ...fresh, attempt: 4, tries: 2, lostToFaults: 2 };
    expect(decide(parked(), tried)).toMatchObject({ attempt: 2 });
    expect(decide(parked({ parked: throttled }), tried)).toMatchObject({ attempt: 4 });
  });

  it('excuses what failed beside it where it is an outage, and only there', () => {
    const failures = [aFailure('server_error', 3)];
    expect(decide(parked({ failures }))).toMatchObject({ kind: 'parked', attempt: 1 });
    expect(decide(parked({ failures, parked: throttled }))).toMatchObject({
      ...{ kind: 'wait_here', attempt: 2, failure: { class: 'server_error', item: 3 } },
    });
  });
});

describe('a pass with failed items', () => {
  it('waits for the longest of their delays', () => {
    const pass = failedWith(
      aFailure('throttled', 2, { retryAfterMs: 9_000 }),
      aFailure('overloaded', 5, { retryAfterMs: 61_000 }),
      aFailure('throttled', 7),
    );
    expect(decide(pass)).toMatchObject({ kind: 'retry_later', delayMs: 61_000, attempt: 1 });
  });

  it('uses one attempt, however many of them use one', () => {
    const pass = failedWith(
      aFailure('throttled', 0),
      aFailure('timeout', 1),
      aFailure('server_error', 2),
    );
    expect(decide(pass)).toMatchObject({ attempt: 2, failure: { class: 'timeout', item: 1 } });
  });

  it('uses none where it may have been the service’s own fault, unless another failure uses one', () => {
    const doubted = aFailure('server_error', 0, { isInDoubt: true });
    expect(decide(failedWith(doubted))).toMatchObject({ attempt: 1, failure: { item: 0 } });
    const both = failedWith(doubted, aFailure('timeout', 1));
    expect(decide(both)).toMatchObject({ attempt: 2, failure: { class: 'timeout' } });
  });

  it('uses none where the service was only busy', () => {
    const pass = failedWith(aFailure('throttled', 3), aFailure('overloaded', 4));
    expect(decide(pass)).toMatchObject({ attempt: 1, reason: 'throttled', failure: { item: 3 } });
  });

  it('is tried again as long as one of them can be', () => {
    const pass = failedWith(
      aFailure('policy', 0),
      aFailure('bad_output', 1),
      aFailure('timeout', 2),
    );
    expect(decide(pass)).toMatchObject({
      kind: 'wait_here',
      failure: { class: 'timeout', item: 2, itemsFailed: 3 },
    });
  });

  it('is failed where the class of any says so, named after the lowest such item', () => {
    const pass = failedWith(
      aFailure('bad_output', 1),
      aFailure('too_large', 4),
      aFailure('policy', 6),
    );
    expect(decide(pass)).toMatchObject({
      kind: 'failed',
      failure: { class: 'too_large', item: 4, itemsFailed: 3 },
    });
  });

  it('needs review where none says so, named after the lowest item', () => {
    const pass = failedWith(aFailure('bad_output', 1), aFailure('billing', 4));
    expect(decide(pass)).toMatchObject({
      kind: 'needs_review',
      failure: { class: 'bad_output', item: 1, itemsFailed: 2 },
    });
  });

  it('follows the fates that the workflow has moved', () => {
    const policy = {
      ...defaultRetryPolicy,
      fates: { policy: 'needs_review', timeout: 'needs_review', bad_output: 'failed' },
    } as const;
    const reviewed = failedWith(aFailure('timeout', 0), aFailure('policy', 1));
    expect(decide(reviewed, fresh, policy)).toMatchObject({
      kind: 'needs_review',
      failure: { class: 'timeout', item: 0 },
    });
    const failed = failedWith(
      aFailure('timeout', 0),
      aFailure('policy', 1),
      aFailure('bad_output', 2),
      aFailure('too_large', 3),
    );
    expect(decide(failed, fresh, policy)).toMatchObject({
      kind: 'failed',
      failure: { class: 'bad_output', item: 2 },
    });
  });

  it('says why it stopped, and after what', () => {
    const used = { ...fresh, attempt: 5, tries: 4, firstFailedAtMs: NOW - 60_000 };
    expect(decide(failedWith(aFailure('timeout')), used)).toMatchObject({
      kind: 'needs_review',
      failure: {
        class: 'timeout',
        message: 'attempts used up; last: timeout at the step',
        itemsFailed: null,
      },
    });
  });

  it('fails by the deadline where the next try would come too late', () => {
    const pass = failedWith(aFailure('throttled', null, { retryAfterMs: 60_000 }));
    const due = { ...run, deadline_at: new Date(NOW + 60_000) };
    expect(decideOutcome(pass, due, fresh, defaultRetryPolicy, NOW, 0)).toMatchObject({
      kind: 'failed',
      failure: { class: 'deadline_exceeded' },
    });
  });

  it('keeps a message to about a kilobyte, and one fingerprint for one cause', () => {
    const failures = [
      'a'.repeat(5_000),
      'call resp_0123456789ab lost',
      'call resp_ba9876543210 lost',
    ];
    const [long, one, other] = failures.map((message) => {
      const outcome = decide(failedWith(aFailure('bad_output', null, { message })));
      return outcome.kind === 'needs_review' ? outcome.failure : undefined;
    });
    expect(long?.message).toHaveLength(1_000);
    expect(one?.fingerprint).toBe(other?.fingerprint);
    expect(one?.fingerprint).not.toBe(long?.fingerprint);
  });
});

describe('any failed pass', () => {
  const anyFate = fc.constantFrom('needs_review' as const, 'failed' as const);
  const anyClass = fc.constantFrom(...failureClasses);
  const anyPolicy = fc
    .dictionary(anyClass, anyFate, { maxKeys: 4 })
    .map((fates) => ({ ...defaultRetryPolicy, fates }));
  const anyFailures = fc
    .array(fc.tuple(anyClass, fc.option(fc.integer({ min: 0, max: 90_000 }))), {
      minLength: 1,
      maxLength: 8,
    })
    .map((all) =>
      all.map(([failureClass, retryAfterMs], item) =>
        aFailure(failureClass, item, { retryAfterMs }),
      ),
    );
  const anyAttempt = fc.integer({ min: 1, max: 5 });

  it('is tried again only for what may be, and never before any of them asked', () => {
    fc.assert(
      fc.property(anyFailures, anyPolicy, anyAttempt, (failures, policy, attempt) => {
        const [first, ...more] = failures;
        const outcome = decide(failedWith(first!, ...more), { ...fresh, attempt }, policy, 0.7);
        if (outcome.kind !== 'retry_later' && outcome.kind !== 'wait_here') return;
        const retryable = failures.filter((failure) => isRetryable(failure, policy));
        expect(retryable.length).toBeGreaterThan(0);
        for (const { retryAfterMs } of retryable) {
          expect(outcome.delayMs).toBeGreaterThanOrEqual(retryAfterMs ?? 0);
        }
        expect(outcome.attempt - attempt).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('is failed exactly where nothing is retryable and the fate of some item is', () => {
    fc.assert(
      fc.property(anyFailures, anyPolicy, (failures, policy) => {
        fc.pre(!failures.some((failure) => isRetryable(failure, policy)));
        const [first, ...more] = failures;
        const outcome = decide(failedWith(first!, ...more), fresh, policy);
        const final = failures.filter(({ class: failureClass }) => {
          const native = ['too_large', 'policy', 'deadline_exceeded', 'discarded', 'superseded'];
          return (
            (policy.fates[failureClass] ?? (native.includes(failureClass) && 'failed')) === 'failed'
          );
        });
        const speaks = final[0] ?? first!;
        expect(outcome).toMatchObject({
          kind: final.length > 0 ? 'failed' : 'needs_review',
          failure: { item: speaks.item, class: speaks.class, itemsFailed: failures.length },
        });
      }),
    );
  });
});
