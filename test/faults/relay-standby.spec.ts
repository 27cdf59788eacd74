/**
 * The process that leads the relay is frozen, and killed. Real: two apis as processes of their own, a processor, Postgres, Kafka,
 * an outside consumer. Stands in: the simulator for OpenAI.
 */
import { topics } from '#libs/contracts';
import type { AppProcess } from '../support/app-process.js';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { RunsClient } from '../support/runs-client.js';
import { expectUnbroken, untilAtRest } from '../support/unbroken.js';

/** The lease of 3 s, a standby's next try a second later at most (1.25 with its jitter), and what a busy machine adds. */
const takesOverWithinMs = 5_500;

let flow: Flow;
const asked: string[] = [];
let apis: readonly { readonly app: AppProcess; readonly runs: RunsClient }[];

beforeAll(async () => {
  flow = await openFlow();
  const { app, url } = await flow.scene.startApi();
  apis = [
    { app: flow.scene.api, runs: flow.runs },
    { app, runs: new RunsClient(url!) },
  ];
});
afterAll(async () => flow?.close());

/** The api that leads, and the other one. */
async function leaderAndStandby() {
  const leader = await eventually('an api leads the relay', async () => {
    const { rows } = await flow.database.query<{ holder: string }>(
      `SELECT holder FROM api.leases WHERE name = 'outbox-relay' AND until > now()`,
    );
    return apis.find(({ app }) => rows[0]?.holder.endsWith(`.${app.pid}`));
  });
  const standby = apis.find((each) => each !== leader)!;
  return { leader: leader.app, standby: standby.runs };
}

/** Milliseconds until a run that is asked for now is on its topic. */
async function publishedAfter(runs: RunsClient, question: string): Promise<number> {
  const startedAtMs = performance.now();
  const { id } = await runs.ask(question);
  asked.push(id);
  await flow.watch.first(
    `the request of ${id}`,
    ({ topic, key }) => topic === topics.runRequested && key?.toString() === id,
  );
  return performance.now() - startedAtMs;
}

it('frozen: the standby publishes within the lease, and the thawed one breaks nothing', async () => {
  const { leader, standby } = await leaderAndStandby();
  leader.freeze();
  expect(await publishedAfter(standby, 'Who sends this?')).toBeLessThan(takesOverWithinMs);
  leader.thaw();
  await publishedAfter(standby, 'And this?');
  await untilAtRest(flow, 30_000);
  await expectUnbroken(flow, asked);
});

it('killed: the standby publishes within the lease', async () => {
  const { leader, standby } = await leaderAndStandby();
  await leader.killHard();
  expect(await publishedAfter(standby, 'Who sends this then?')).toBeLessThan(takesOverWithinMs);
  await untilAtRest(flow, 30_000);
  await expectUnbroken(flow, asked);
});
