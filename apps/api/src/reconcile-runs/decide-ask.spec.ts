import fc from 'fast-check';
import { runStatuses } from '#libs/domain';
import { decideAsk, silencePolicy, type Silence } from './decide-ask.js';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const policy = silencePolicy(MINUTE_MS);
const aSilence = (changes: Partial<Silence> = {}): Silence => ({
  ...{ status: 'queued', version: 0, sinceMs: 0, nextAttemptAtMs: null, asks: 0, askedAtMs: null },
  ...changes,
});
/** How long after the beginning of the silence the first question comes, in minutes. */
function firstAskAfterMinutes(changes: Partial<Silence>): number {
  const decided = decideAsk(aSilence(changes), policy, 0);
  return decided.kind === 'wait' ? decided.forMs / MINUTE_MS : NaN;
}

describe('the first question about a silence', () => {
  it.each([
    ['a request that nobody has taken up', { status: 'queued', version: 0 }, 1],
    ['a run that waits for a slot or a lane', { status: 'queued', version: 1 }, 5],
    ['a run in the middle of a call', { status: 'running', version: 2 }, 2],
    ['a run that waits for a person', { status: 'needs_review', version: 3 }, 60],
    ['a decision', { status: 'pending' }, 1],
  ] as const)('of %s', (_what, changes, minutes) => {
    expect(firstAskAfterMinutes(changes)).toBe(minutes);
  });

  it('of a retry comes a minute after its time, however far that is', () => {
    const retrying = { status: 'retrying', version: 4 } as const;
    expect(firstAskAfterMinutes({ ...retrying, nextAttemptAtMs: 600 * MINUTE_MS })).toBe(601);
    expect(firstAskAfterMinutes({ ...retrying, nextAttemptAtMs: -MINUTE_MS })).toBe(1);
  });

  it('never comes where a run has ended', () => {
    for (const status of ['completed', 'failed', 'cancelled'] as const) {
      const decided = decideAsk(aSilence({ status, version: 9 }), policy, 100 * DAY_MS);
      expect(decided).toEqual({ kind: 'rest', because: 'ended' });
    }
  });
});

/** When questions are asked about one silence, in minutes from its beginning, by somebody who looks every minute. */
function asksWithin(days: number, changes: Partial<Silence>): number[] {
  const asked: number[] = [];
  for (let minute = 0; minute <= days * 1_440; minute++) {
    const askedAtMs = asked.length > 0 ? asked.at(-1)! * MINUTE_MS : null;
    const silence = aSilence({ ...changes, asks: asked.length, askedAtMs });
    if (decideAsk(silence, policy, minute * MINUTE_MS).kind === 'ask') asked.push(minute);
  }
  return asked;
}

describe('questions about a silence that lasts', () => {
  it('come in growing pauses, at most a day, and end after seven days', () => {
    expect(asksWithin(30, {})).toEqual([
      ...[1, 3, 7, 15, 31, 63, 127, 255, 511, 1_023, 2_047],
      ...[3_487, 4_927, 6_367, 7_807, 9_247],
    ]);
  });

  it.each(runStatuses)('are no more than 17 in all, where a run is %s', (status) => {
    expect(asksWithin(30, { status, version: 5 }).length).toBeLessThanOrEqual(17);
  });

  it('are never nearer to each other than the patience of the state', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...runStatuses),
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 0, max: 7 * DAY_MS }),
        (status, asks, askedAtMs) => {
          const silence = aSilence({ status, version: 1, asks: asks + 1, askedAtMs });
          const decided = decideAsk(silence, policy, askedAtMs + MINUTE_MS - 1);
          expect(decided.kind).not.toBe('ask');
        },
      ),
    );
  });
});
