/**
 * The time limit of a step. Stand in: the clock, which only the gateway moves, and the gateway, which takes its time and remembers what
 * it was asked; nothing else is reached.
 */
import { jest } from '@jest/globals';
import type { CompletedCall, ModelCallRequest } from '#libs/openai-gateway';
import { mapStep } from '#libs/workflows';
import type { Lease } from './keeper.js';
import { FinishedItems, type OpenRun } from './open-run.js';
import { runModelStep } from './run-model-step.js';

type Tools = Parameters<typeof runModelStep>[4];

const step = (timeLimitMs?: number) =>
  mapStep({
    ...{ name: 'each', title: 'Asking each', maxParallelItems: 1 },
    ...(timeLimitMs !== undefined && { timeLimitMs }),
    items: () => ['a', 'b', 'c'],
    label: String,
    prompt: (input: string) => ({
      ...{ model: 'gpt-5.2', instructions: '', input, maxOutputTokens: 16 },
      ...({ callTimeoutMs: 60_000, mode: 'background', whenUnknown: 'hold' } as const),
    }),
    read: () => ({ kind: 'read', value: 1 }),
  });

let nowMs = 0;
beforeEach(() => void jest.spyOn(performance, 'now').mockImplementation(() => nowMs));
afterEach(() => jest.restoreAllMocks());

async function run(timeLimitMs: number | undefined, tookMs: number) {
  const asked: ModelCallRequest[] = [];
  const gateway = {
    callModel: (request: ModelCallRequest) => {
      asked.push(request);
      nowMs += tookMs;
      const output = { kind: 'text', text: '' } as const;
      return Promise.resolve({ kind: 'completed', output } as CompletedCall);
    },
  };
  const tools = { gateway, checkPoints: { save: () => Promise.resolve(true) } };
  const row = { tenant: 'default', priority: 0, run_id: 'r', redriven_fence: null, request: {} };
  const workflow = { steps: [{}, {}], retry: {} };
  const open = {
    row,
    workflow,
    context: {},
    finished: new FinishedItems(new Map()),
    isFresh: true,
  };
  const lease = { signal: new AbortController().signal, claim: { fence: 1n }, isAlive: () => true };
  const pass = await runModelStep(
    ...([step(timeLimitMs), 0, open as unknown as OpenRun, lease as unknown as Lease] as const),
    ...([tools as unknown as Tools, () => undefined] as const),
  );
  return { asked, pass };
}

it('without one, calls have their own', async () => {
  const { asked, pass } = await run(undefined, 0);
  expect(asked.map(({ callTimeoutMs }) => callTimeoutMs)).toEqual([60_000, 60_000, 60_000]);
  expect(pass).toEqual({ kind: 'step_done' });
});

it('shortens that of each call to what is left of it', async () => {
  const { asked } = await run(5_000, 20);
  expect(asked.map(({ callTimeoutMs }) => callTimeoutMs)).toEqual([5_000, 4_980, 4_960]);
});

it('once over, nothing more is asked for: a time-out that may be tried again', async () => {
  const { asked, pass } = await run(40, 80);
  expect(asked.map(({ input }) => input)).toEqual(['a']);
  expect(pass).toMatchObject({
    kind: 'failed',
    failures: [
      { class: 'timeout', code: 'step_timeout', item: 1 },
      { class: 'timeout', code: 'step_timeout', item: 2 },
    ],
  });
});
