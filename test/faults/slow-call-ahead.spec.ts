/** Real: api, processor, Postgres, Kafka, an outside consumer. Stands in: the simulator for OpenAI. */
import { topics } from '#libs/contracts';
import { openFlow, type Flow } from '../support/flow.js';
import { askAll } from '../support/unbroken.js';
import { eventually } from '../support/eventually.js';

const quick = 1_000;

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow({ env: { PROCESSOR_RUN_SLOTS: '256' } });
});
afterAll(async () => flow?.close());

it('a call of 10 minutes holds up none of 1,000 quick ones, those on its partition included', async () => {
  const slow = 'What takes ten minutes?';
  await flow.simulator.script({
    match: { inputIncludes: slow },
    fault: { kind: 'latency', ms: 600_000 },
    times: 'always',
  });
  const { id } = await flow.runs.ask(slow);
  await flow.runs.streamUntil(id, 'start', ({ status }) => status === 'running');
  const ids = await askAll(
    flow,
    Array.from({ length: quick }, (_, number) => `What is number ${number}?`),
  );
  await eventually(
    'all quick ones are completed',
    async () => {
      const { rows } = await flow.database.query<{ done: number }>(
        `SELECT count(*)::int AS done FROM api.runs WHERE status = 'completed'`,
      );
      return rows[0]?.done === ids.length;
    },
    90_000,
  );
  expect((await flow.runs.view(id)).run.status).toBe('running');
  await flow.watch.upToDate();
  const [own] = flow.watch.of(topics.runRequested, id);
  const behind = flow.watch.seen.filter(
    ({ topic, partition, offset }) =>
      topic === topics.runRequested &&
      partition === own!.partition &&
      BigInt(offset) > BigInt(own!.offset),
  );
  expect(behind.length).toBeGreaterThan(20);
}, 150_000);
