/** Stands in: the clock (Jest's fake timers) and the store of moves, which notes what it is told. */
import { jest } from '@jest/globals';
import type { RunProgress } from '#libs/domain';
import { noMetrics } from '#libs/metrics';
import type { ExecuteTools } from './execute-tools.js';
import type { Lease } from './keeper.js';
import type { Outcome } from './outcome.js';
import { ProgressTeller } from './progress-teller.js';
import type { Moved } from './run-moves.store.js';

const at = (itemsDone: number): RunProgress => ({
  step: 'Extracting',
  stepsDone: 1,
  stepsTotal: 3,
  itemsDone,
  itemsTotal: 23,
});

function setUp({ moved = 'written', move }: { moved?: Moved; move?: () => Promise<Moved> } = {}) {
  const told: { itemsDone: number | null; atMs: number }[] = [];
  const warnings: string[] = [];
  const stopped = new AbortController();
  const moves = {
    move: (_claim: unknown, outcome: Outcome) => {
      if (outcome.kind !== 'progressed') throw new Error('only progress is told');
      told.push({ itemsDone: outcome.progress.itemsDone, atMs: Date.now() });
      return move ? move() : Promise.resolve(moved);
    },
  } as unknown as ExecuteTools['moves'];
  const lease = {
    claim: { run: { run_id: '0198a1de-0000-7000-8000-000000000001' }, fence: 1n },
    signal: stopped.signal,
    abort: (reason: string) => stopped.abort(reason),
  } as unknown as Lease;
  const warn = (_fields: object, message: string) => void warnings.push(message);
  const log = { debug: warn, info: warn, warn, error: warn };
  const lost: string[] = [];
  const metrics = { ...noMetrics, add: (name: string) => void lost.push(name) };
  const teller = new ProgressTeller(lease, { moves, log, metrics, nowMs: Date.now });
  return { teller, told, warnings, stopped, lost };
}

beforeEach(() => void jest.useFakeTimers({ now: 0 }));
afterEach(() => void jest.useRealTimers());

describe('measured progress', () => {
  it('is told once a second at most, the newest of what came in between', async () => {
    const { teller, told } = setUp();
    for (let item = 1; item <= 35; item++) {
      teller.tell(at(item));
      await jest.advanceTimersByTimeAsync(100);
    }
    expect(told).toEqual([
      { itemsDone: 10, atMs: 1_000 },
      { itemsDone: 20, atMs: 2_000 },
      { itemsDone: 30, atMs: 3_000 },
    ]);
  });

  it('is told at once after a quiet second', async () => {
    const { teller, told } = setUp();
    await jest.advanceTimersByTimeAsync(5_000);
    teller.tell(at(1));
    await jest.advanceTimersByTimeAsync(0);
    expect(told).toEqual([{ itemsDone: 1, atMs: 5_000 }]);
  });

  it('is not told twice where nothing new was measured', async () => {
    const { teller, told } = setUp();
    teller.tell(at(1));
    await jest.advanceTimersByTimeAsync(10_000);
    expect(told).toHaveLength(1);
  });

  it('waits while paused, so that nothing is told after the outcome of the run', async () => {
    const { teller, told } = setUp();
    teller.tell(at(1));
    await teller.pause();
    await jest.advanceTimersByTimeAsync(10_000);
    expect(told).toEqual([]);
    expect(teller.newest).toEqual(at(1));
  });

  it('is paused only when what is being told is written', async () => {
    let written = () => {};
    const { teller, told } = setUp({
      move: () => new Promise((resolve) => (written = () => resolve('written'))),
    });
    teller.tell(at(1));
    await jest.advanceTimersByTimeAsync(1_000);
    let paused = false;
    const pausing = teller.pause().then(() => (paused = true));
    await jest.advanceTimersByTimeAsync(0);
    expect({ paused, told: told.length }).toEqual({ paused: false, told: 1 });
    written();
    await pausing;
  });

  it.each([
    ['the run is no longer ours', 'lost', 'lease_lost', 1],
    ['the run is to be cancelled', 'cancel_requested', 'cancel_requested', 0],
  ] as const)('stops the work where %s', async (_, moved, reason, lostFences) => {
    const { teller, stopped, lost } = setUp({ moved });
    teller.tell(at(1));
    await jest.advanceTimersByTimeAsync(1_000);
    expect(stopped.signal.reason).toBe(reason);
    expect(lost).toHaveLength(lostFences);
  });

  it('is not told once the work was stopped', async () => {
    const { teller, told, stopped } = setUp();
    teller.tell(at(1));
    stopped.abort();
    await jest.advanceTimersByTimeAsync(5_000);
    expect(told).toEqual([]);
  });

  it('never fails the run: what could not be told is logged, and the next is told', async () => {
    let calls = 0;
    const move = (): Promise<Moved> =>
      calls++ === 0 ? Promise.reject(new Error('gone')) : Promise.resolve('written');
    const { teller, told, warnings } = setUp({ move });
    teller.tell(at(1));
    await jest.advanceTimersByTimeAsync(1_000);
    teller.tell(at(2));
    await jest.advanceTimersByTimeAsync(1_000);
    expect(warnings).toEqual(['progress could not be told']);
    expect(told.map(({ itemsDone }) => itemsDone)).toEqual([1, 2]);
  });
});
