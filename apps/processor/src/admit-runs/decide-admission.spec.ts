import fc from 'fast-check';
import { REQUEST_UNREADABLE } from '#libs/contracts';
import { SHORT_WAIT_MS } from '#libs/domain';
import { ownFailure, type ExecutionStatus } from '../schema/index.js';
import { decideAdmission, type Admission, type KnownRun } from './decide-admission.js';

const statuses: readonly ExecutionStatus[] = [
  'ready',
  'running',
  'retrying',
  'needs_review',
  'completed',
  'failed',
  'cancelled',
];
const dues = {
  'not set': null,
  passed: -1,
  'in under 5 s': SHORT_WAIT_MS - 1,
  'in 5 s': SHORT_WAIT_MS,
  'in an hour': 3_600_000,
} as const;
const known = (changes: Partial<KnownRun>): KnownRun => ({
  status: 'retrying',
  dispatch: 3,
  hop: 1,
  dueInMs: null,
  lacksRequest: false,
  ...changes,
});
/** As Kafka brings it; `seenVersion` where the api has sent it again. */
const work = (dispatch: number, hop: number, seenVersion: number | null = null) => ({
  ...{ dispatch, hop, seenVersion, unworkable: null },
});
const told = (admission: Admission) =>
  admission.kind === 'settle' ? admission.because : admission.kind;

describe('work for a run that is not known', () => {
  it.each([
    [1, 0, 'insert'],
    [2, 0, 'unknown_run'],
    [7, 3, 'unknown_run'],
  ])('dispatch %i, hop %i: %s', (dispatch, hop, expected) => {
    expect(told(decideAdmission(undefined, work(dispatch, hop)))).toBe(expected);
  });
});

describe('work for a known run', () => {
  const cases = statuses.flatMap((status) =>
    ([-1, 0, 1] as const).flatMap((dispatchBy) =>
      ([-1, 0, 1] as const).flatMap((hopBy) =>
        Object.entries(dues).map(([due, dueInMs]) => ({ status, dispatchBy, hopBy, due, dueInMs })),
      ),
    ),
  );

  it.each(cases)(
    '$status, dispatch $dispatchBy, hop $hopBy, due $due',
    ({ status, dispatchBy, hopBy, dueInMs }) => {
      const run = known({ status, dueInMs });
      const due = work(run.dispatch + dispatchBy, run.hop + hopBy);
      const isTheOneDue = status === 'retrying' && dispatchBy === 0 && hopBy === 0;
      const waits = dueInMs !== null && dueInMs >= 5_000;
      const settled = dispatchBy < 0 || status === 'retrying' ? 'stale' : 'duplicate';
      const expected = isTheOneDue ? (waits ? 'hop' : 'make_ready') : settled;
      expect(told(decideAdmission(run, due))).toBe(expected);
    },
  );

  it('says how long a hop has to wait', () => {
    const run = known({ dueInMs: 61_000 });
    expect(decideAdmission(run, work(run.dispatch, run.hop))).toEqual({
      kind: 'hop',
      waitMs: 61_000,
    });
  });
});

describe('the messages of one run, delivered in any order and any number of times', () => {
  it('make it ready once per dispatch', () => {
    const deliveries = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 2 })),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(deliveries, (works) => {
        let run: KnownRun | undefined;
        const starts: number[] = [];
        for (const [dispatch, hop] of works) {
          const admission = decideAdmission(run, work(dispatch, hop));
          if (admission.kind !== 'insert' && admission.kind !== 'make_ready') continue;
          starts.push(dispatch);
          // It is carried, fails, and waits for its next dispatch.
          run = known({ dispatch: dispatch + 1, hop: 0 });
        }
        expect(starts).toEqual(starts.map((_, index) => index + 1));
      }),
    );
  });
});

describe('a request that the api sends again', () => {
  it('is the first one to arrive, where the first was lost', () => {
    expect(told(decideAdmission(undefined, work(1, 0, 0)))).toBe('insert');
  });

  it('of a run that told the api something, and of which nothing is known here, is for a person', () => {
    expect(told(decideAdmission(undefined, work(1, 0, 4)))).toBe('insert_forgotten');
  });

  it.each(statuses)(
    'is answered with what a run that is %s told last, and moves nothing',
    (status) => {
      for (const dispatch of [1, 3]) {
        expect(decideAdmission(known({ status }), work(dispatch, 1, 4))).toEqual({
          kind: 'repeat',
        });
      }
    },
  );
});

describe('a run whose request could not be read', () => {
  const lacking = known({ status: 'needs_review', dispatch: 1, hop: 0, lacksRequest: true });
  const unworkable = ownFailure(
    { class: 'internal', code: REQUEST_UNREADABLE, message: 'broken' },
    'answer',
  );

  it.each([null, 0, 1])(
    'takes it from the next one that can be, seen version %s',
    (seenVersion) => {
      expect(told(decideAdmission(lacking, work(1, 0, seenVersion)))).toBe('bring_request');
    },
  );

  it('is not moved by the same record again', () => {
    expect(told(decideAdmission(lacking, { ...work(1, 0), unworkable }))).toBe('duplicate');
  });
});
