/** Real: api, processor, Postgres, Kafka. Stands in: the simulator for OpenAI, which notes when it was asked. */
import { openFlow, type Flow } from '../support/flow.js';
import { askAll, expectUnbroken, untilAtRest } from '../support/unbroken.js';

const pending = 500;
const retryAfterMs = 8_000;

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow({ env: { PROCESSOR_RUN_SLOTS: '256' } });
});
afterAll(async () => flow?.close());

it('with 500 runs waiting in one tier none is tried before its time, and none much later', async () => {
  const headers = { 'retry-after': String(retryAfterMs / 1_000) };
  await flow.simulator.script({
    // not as `rate_limit_exceeded`: that would hold all others before they are ever called
    fault: { kind: 'status', status: 429, code: 'slow_down', headers },
    times: pending,
  });
  const ids = await askAll(
    flow,
    Array.from({ length: pending }, (_, number) => `What is number ${number}?`),
  );
  await untilAtRest(flow, 90_000);
  const asked = Map.groupBy(await flow.simulator.calls(), ({ runId }) => runId);
  expect(asked.size).toBe(pending);
  const waits = [...asked.values()].flatMap((calls) =>
    calls.slice(1).map(({ at }, index) => Date.parse(at) - Date.parse(calls[index]!.at)),
  );
  expect(waits).toHaveLength(pending);
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(retryAfterMs);
  await expectUnbroken(flow, ids);
}, 150_000);
