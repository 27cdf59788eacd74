import fc from 'fast-check';
import { decisionNames } from '../decision/decision.js';
import { failureClasses } from '../failure/failure-class.js';
import { describeRun, type DescribableRun } from './describe-run.js';
import { runStatuses, waitingReasons } from './run-status.js';

const NOW = Date.UTC(2026, 0, 1);
const inMs = (ms: number) => new Date(NOW + ms).toISOString();

const aRun = (changes: Partial<DescribableRun>): DescribableRun => ({
  status: 'queued',
  waiting: null,
  attempt: 1,
  maxAttempts: 5,
  nextAttemptAt: null,
  progress: null,
  failure: null,
  pending: null,
  ...changes,
});
const extracting = {
  step: 'Extracting requirements',
  stepsDone: 1,
  stepsTotal: 3,
  itemsDone: 7,
  itemsTotal: 23,
};
const answering = {
  step: 'Answering',
  stepsDone: 0,
  stepsTotal: 1,
  itemsDone: null,
  itemsTotal: null,
};

const examples: readonly [run: Partial<DescribableRun>, text: string][] = [
  [{}, 'Queued: waiting for its turn. It starts by itself.'],
  [
    { waiting: { reason: 'outage', until: null } },
    'Queued: the AI service has an outage. The run keeps its place and goes on by itself; you need not do anything.',
  ],
  [
    { waiting: { reason: 'paused', until: null } },
    'Queued: an operator has paused work of this kind. The run keeps its place and goes on after the pause; you need not do anything.',
  ],
  [{ status: 'running' }, 'Running.'],
  [{ status: 'running', progress: extracting }, 'Running: Extracting requirements, 7 of 23.'],
  [{ status: 'running', progress: answering }, 'Running: Answering (step 1 of 1).'],
  [
    { status: 'running', progress: { ...answering, stepsDone: 1 } },
    'Running: Answering (step 1 of 1).',
  ],
  [
    { status: 'running', waiting: { reason: 'throttled', until: inMs(3_200) } },
    'Running: the AI service is busy, going on in about 4 s.',
  ],
  [
    { status: 'running', waiting: { reason: 'backoff', until: inMs(400) } },
    'Running: short pause after a fault, going on now.',
  ],
  [
    { status: 'running', waiting: { reason: 'outcome_unknown', until: null } },
    'Running: looking for an answer of the AI service that was lost on the way. You need not do anything.',
  ],
  [
    {
      status: 'retrying',
      attempt: 2,
      nextAttemptAt: inMs(39_001),
      failure: { class: 'throttled', code: 'a_code' },
    },
    'Retrying: the AI service is busy. Attempt 2 of 5, next try in about 40 s. You need not do anything.',
  ],
  [
    { status: 'retrying', attempt: 2, nextAttemptAt: inMs(-1) },
    'Retrying: the last try did not succeed. Attempt 2 of 5, next try now. You need not do anything.',
  ],
  [
    { status: 'retrying', attempt: 3, failure: { class: 'timeout', code: 'a_code' } },
    'Retrying: the AI service took too long to answer. Attempt 3 of 5, next try as soon as possible. You need not do anything.',
  ],
  [
    { status: 'needs_review', failure: { class: 'billing', code: 'a_code' } },
    'Needs review: the account with the AI service has run out of credit. The run is kept as it is until the operator has put that right and sends it on; you need not do anything.',
  ],
  [{ status: 'completed' }, 'Completed.'],
  [
    { status: 'failed', failure: { class: 'deadline_exceeded', code: 'a_code' } },
    'Failed: the time that was allowed for this run has passed. If you still need the result, start a new run and allow it more time.',
  ],
  [
    { status: 'needs_review', failure: { class: 'outcome_unknown', code: 'webhook_reply_lost' } },
    'Needs review: nobody can say whether the service that this run had to tell has heard it. The run is kept as it is until support decides how it goes on; you need not do anything.',
  ],
  [
    { status: 'failed', failure: { class: 'invalid_request', code: 'webhook_refused' } },
    'Failed: the service that this run has to tell refused the message. Nothing more happens by itself. If you still need the result, ask support.',
  ],
  [
    { status: 'failed' },
    'Failed: the reason was not recorded. Nothing more happens by itself. If you still need the result, ask support.',
  ],
  [{ status: 'cancelled' }, 'Cancelled.'],
  [
    { status: 'running', pending: 'cancel' },
    'Cancelling: the run stops as soon as the AI service lets go of it. What was spent so far stays recorded.',
  ],
  [
    { status: 'needs_review', failure: { class: 'billing', code: 'a_code' }, pending: 'redrive' },
    'Sent on: the run goes on in a moment, after the last step that is finished.',
  ],
  [
    { status: 'needs_review', pending: 'discard' },
    'Discarding: support has given the run up; it ends in a moment.',
  ],
  [
    { status: 'needs_review', pending: 'complete' },
    'Completing by hand: support has supplied the result; it is there in a moment.',
  ],
  [{ status: 'completed', pending: 'cancel' }, 'Completed.'],
];

const anyInstant = fc.option(fc.integer({ min: -60_000, max: 48 * 3_600_000 }).map(inMs));
const anyRun: fc.Arbitrary<DescribableRun> = fc.record({
  status: fc.constantFrom(...runStatuses),
  waiting: fc.option(fc.record({ reason: fc.constantFrom(...waitingReasons), until: anyInstant })),
  attempt: fc.integer({ min: 1, max: 5 }),
  maxAttempts: fc.constant(5),
  nextAttemptAt: anyInstant,
  progress: fc.option(fc.constantFrom(extracting, answering)),
  failure: fc.option(
    fc.record({
      class: fc.constantFrom(...failureClasses),
      code: fc.constantFrom('a_code', 'webhook_refused'),
    }),
  ),
  pending: fc.option(fc.constantFrom(...decisionNames)),
});

describe('what people read about a run', () => {
  it.each(examples)('of %j is %j', (changes, text) => {
    expect(describeRun(aRun(changes), NOW)).toBe(text);
  });

  it('is one line that ends in a full stop, never a percentage, never a gap', () => {
    fc.assert(
      fc.property(anyRun, (run) => {
        const text = describeRun(run, NOW);
        expect(text).toMatch(/^[A-Z][^\n%]*\.$/);
        expect(text).not.toMatch(/undefined|null|NaN/);
      }),
    );
  });

  it('never says "failed" while the run goes on by itself or can be helped', () => {
    const goingOn = anyRun.filter(({ status }) => status !== 'failed');
    fc.assert(
      fc.property(goingOn, (run) => {
        expect(describeRun(run, NOW)).not.toMatch(/fail/i);
      }),
    );
  });

  it('says of every stop what can be done, or that nothing need be', () => {
    const stopped = anyRun.filter(({ status }) => status === 'needs_review' || status === 'failed');
    fc.assert(
      fc.property(stopped, (run) => {
        fc.pre(run.pending === null || run.status === 'failed');
        expect(describeRun(run, NOW)).toMatch(/need not do anything|new run|ask support/);
      }),
    );
  });

  it('never names a time that is earlier than the next try', () => {
    const anyWaitMs = fc.oneof(
      fc.integer({ min: 1, max: 100_000 }),
      fc.integer({ min: 1, max: 48 * 3_600_000 }),
    );
    fc.assert(
      fc.property(anyWaitMs, (waitMs) => {
        const run = aRun({ status: 'retrying', nextAttemptAt: inMs(waitMs) });
        const saidMs = toldWaitMs(describeRun(run, NOW));
        expect(saidMs).toBeGreaterThanOrEqual(waitMs);
        expect(saidMs).toBeLessThan(waitMs * 2 + 1_000);
      }),
    );
  });
});

/** "now" is within the second. */
function toldWaitMs(text: string): number {
  const [, amount, unit] = /next try in about (\d+) (s|min|h)\b/.exec(text) ?? [];
  const unitMs = { s: 1_000, min: 60_000, h: 3_600_000 }[unit ?? ''] ?? 0;
  return unit === undefined ? 1_000 : Number(amount) * unitMs;
}
