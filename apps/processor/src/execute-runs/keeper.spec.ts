/**
 * Stands in: the clock, the monotonic one too (Jest's fake timers, also for the two Node modules that they leave alone), and the
 * leases in Postgres, which answer as they are told.
 */
import { jest } from '@jest/globals';
import type { Claim } from './claim.js';
import type { Keeper, Lease } from './keeper.js';
import type { LeaseAnswer, LeasesStore } from './leases.store.js';

jest.unstable_mockModule('node:perf_hooks', () => ({
  performance: { now: () => performance.now() },
}));
jest.unstable_mockModule('node:timers/promises', () => ({ setTimeout: abortableSleep }));
const keeping = await import('./keeper.js');

function abortableSleep(ms: number, value: unknown, { signal }: { signal: AbortSignal }) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, ms, value);
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
}

const timing = { leaseMs: 10_000, renewMs: 3_000, marginMs: 2_000 };

const claimOf = (runId: string, fence = 1n) =>
  ({ run: { run_id: runId, tenant: 'default' }, fence }) as unknown as Claim;
const renewed = (runId: string): LeaseAnswer => ({
  runId,
  mine: true,
  renewed: true,
  cancelRequested: false,
});

type Answer = (claims: readonly Claim[]) => Promise<LeaseAnswer[]>;
const renewAll: Answer = (claims) => Promise.resolve(claims.map(({ run }) => renewed(run.run_id)));

class FakeLeases {
  readonly asked: { atMs: number; runs: string[] }[] = [];
  answer: Answer = renewAll;

  renew: Answer = (claims) => {
    const runs = claims.map(({ run, fence }) => `${run.run_id}/${fence}`);
    this.asked.push({ atMs: Math.round(performance.now() - startedAtMs), runs });
    return this.answer(claims);
  };
}

let startedAtMs = 0;
let leases: FakeLeases;
let keeper: Keeper;
let warnings: string[];

beforeEach(() => {
  jest.useFakeTimers();
  startedAtMs = performance.now();
  leases = new FakeLeases();
  warnings = [];
  const warn = (_fields: object, message: string) => void warnings.push(message);
  const log = { debug: warn, info: warn, warn, error: warn };
  keeper = new keeping.Keeper(leases as unknown as LeasesStore, timing, log);
  keeper.start();
});

afterEach(async () => {
  const stopped = keeper.stop();
  await jest.advanceTimersByTimeAsync(1_000);
  await stopped;
  jest.useRealTimers();
});

const hold = (runId: string, fence?: bigint) =>
  keeper.hold(claimOf(runId, fence), performance.now());
const reasonOf = ({ signal }: Lease) =>
  signal.reason instanceof keeping.WorkAbortedError ? signal.reason.reason : null;
const pass = (ms: number) => jest.advanceTimersByTimeAsync(ms);

describe('the leases of the runs in hand', () => {
  it('are all renewed in one statement every three seconds, by run and fence', async () => {
    hold('a');
    hold('b', 7n);
    await pass(9_500);
    expect(leases.asked.map(({ runs }) => runs)).toEqual([
      ['a/1', 'b/7'],
      ['a/1', 'b/7'],
      ['a/1', 'b/7'],
    ]);
  });

  it('live for as long as they are renewed', async () => {
    const lease = hold('a');
    await pass(120_000);
    expect({ alive: lease.isAlive(), aborted: lease.signal.aborted }).toEqual({
      alive: true,
      aborted: false,
    });
  });

  it('are renewed no more once they are let go', async () => {
    const lease = hold('a');
    keeper.letGo(lease);
    await pass(10_000);
    expect(leases.asked).toEqual([]);
    expect(lease.signal.aborted).toBe(false);
  });

  it('stay with the newer claim of a run when the older one is let go', async () => {
    const older = hold('a', 1n);
    hold('a', 3n);
    keeper.letGo(older);
    await pass(3_500);
    expect(leases.asked.map(({ runs }) => runs)).toEqual([['a/3']]);
  });
});

describe('a run that this process has lost and claimed again', () => {
  it('is worked on under the newer claim only', async () => {
    const [older, newer] = [hold('a', 1n), hold('a', 3n)];
    expect(reasonOf(older)).toBe('lease_lost');
    expect(newer.signal.aborted).toBe(false);
  });

  it('keeps its newer lease when the older work finds out', async () => {
    const [older, newer] = [hold('a', 1n), hold('a', 3n)];
    older.abort('lease_lost');
    await pass(20_000);
    expect(leases.asked.at(-1)?.runs).toEqual(['a/3']);
    expect(newer.isAlive()).toBe(true);
  });
});

describe('a lease that can no longer be renewed', () => {
  /** Two seconds before anybody else can have the run, and a look's length at most after that. */
  const stoppedInTime = async (lease: Lease, aliveForMs: number) => {
    await pass(aliveForMs - 1);
    expect({ alive: lease.isAlive(), aborted: lease.signal.aborted }).toEqual({
      alive: true,
      aborted: false,
    });
    await pass(1);
    expect(lease.isAlive()).toBe(false);
    await pass(250);
    expect(reasonOf(lease)).toBe('lease_lost');
    expect(keeper.size).toBe(0);
  };

  it('is given up by our own clock where Postgres refuses', async () => {
    leases.answer = () => Promise.reject(new Error('57P01'));
    await stoppedInTime(hold('a'), 8_000);
  });

  it('is given up by our own clock where Postgres does not answer at all', async () => {
    let answer = (_answers: LeaseAnswer[]) => {};
    leases.answer = () => new Promise((resolve) => (answer = resolve));
    try {
      await stoppedInTime(hold('a'), 8_000);
      expect(leases.asked).toHaveLength(1);
    } finally {
      answer([renewed('a')]);
    }
  });

  it('is given up by our own clock where its row stays locked', async () => {
    leases.answer = () =>
      Promise.resolve([{ runId: 'a', mine: true, renewed: false, cancelRequested: false }]);
    await stoppedInTime(hold('a'), 8_000);
  });

  it('counts from before the renewal was sent, however late its answer is', async () => {
    const lease = hold('a');
    await pass(2_000);
    leases.answer = async (claims) => {
      await new Promise((resolve) => setTimeout(resolve, 4_000));
      leases.answer = () => Promise.reject(new Error('57P01'));
      return renewAll(claims);
    };
    await pass(5_500); // asked at 3 s, answered at 7 s
    const sentAtMs = leases.asked[0]!.atMs;
    expect(sentAtMs).toBeLessThan(3_500);
    await stoppedInTime(lease, sentAtMs + 8_000 - 7_500);
  });

  it('counts from before the claim was sent', async () => {
    leases.answer = () => Promise.reject(new Error('57P01'));
    const lease = keeper.hold(claimOf('a'), performance.now() - 7_000);
    await stoppedInTime(lease, 1_000);
  });

  it('is said once', async () => {
    leases.answer = () => Promise.reject(new Error('57P01'));
    hold('a');
    await pass(30_000);
    expect(warnings.filter((line) => line.startsWith('lease lost'))).toHaveLength(1);
  });
});

describe("a run that turns out to be somebody else's", () => {
  it.each([
    [
      'by its answer',
      (): LeaseAnswer[] => [
        { runId: 'a', mine: false, renewed: false, cancelRequested: false },
        renewed('b'),
      ],
    ],
    ['by no answer', (): LeaseAnswer[] => [renewed('b')]],
  ])('%s is stopped at once, and no other with it', async (_how, answers) => {
    const [lost, kept] = [hold('a'), hold('b')];
    leases.answer = () => Promise.resolve(answers());
    await pass(3_250);
    expect(reasonOf(lost)).toBe('lease_lost');
    expect(kept.signal.aborted).toBe(false);
    expect(keeper.size).toBe(1);
  });

  it('is not taken for one that was written down and let go while its renewal was under way', async () => {
    const lease = hold('a');
    leases.answer = async () => {
      keeper.letGo(lease);
      return [{ runId: 'a', mine: false, renewed: false, cancelRequested: false }];
    };
    await pass(4_000);
    expect(leases.asked).toHaveLength(1);
    expect({ warnings, aborted: lease.signal.aborted }).toEqual({ warnings: [], aborted: false });
  });
});

describe('stopping all work', () => {
  it('keeps the leases until the last write of each run is done', async () => {
    const lease = hold('a');
    keeper.abortAll('released');
    await pass(3_500);
    expect(reasonOf(lease)).toBe('released');
    expect(leases.asked).toHaveLength(1);
    expect(lease.isAlive()).toBe(true);
  });

  it('keeps the first reason', async () => {
    const lease = hold('a');
    lease.abort('deadline_passed');
    keeper.abortAll('released');
    expect(reasonOf(lease)).toBe('deadline_passed');
  });
});

it('says for how long leases could not be renewed, and no more once they are, or none is held', async () => {
  const lease = hold('a');
  await pass(3_500);
  expect(keeper.problem).toBeNull();
  leases.answer = () => Promise.reject(new Error('Postgres is away'));
  await pass(5_000);
  expect(keeper.problem).toMatch(/^leases could not be renewed for [1-5] s/);
  leases.answer = renewAll;
  await pass(3_500);
  expect(keeper.problem).toBeNull();
  leases.answer = () => Promise.reject(new Error('Postgres is away'));
  await pass(4_000);
  keeper.letGo(lease);
  await pass(500);
  expect(keeper.problem).toBeNull();
});
