/**
 * What the processor's readiness says when something is gone. Real: api and processor as processes of their own, Postgres, Kafka.
 * Stand in: TCP proxies before Postgres, which can be silenced and taken away; the simulator for OpenAI.
 */
import { randomUUID } from 'node:crypto';
import { FaultyNetwork } from '../integration/postgres/faulty-network.js';
import { openFlow, type Flow } from '../support/flow.js';
import { originOf, readinessOf, readinessOnce } from '../support/readiness.js';

let flow: Flow;
let network: FaultyNetwork;
let contentNetwork: FaultyNetwork;
let origin: string;
beforeAll(async () => {
  flow = await openFlow({ processors: 0 });
  network = await FaultyNetwork.before(flow.scene.database.url);
  contentNetwork = await FaultyNetwork.before(flow.scene.database.url);
  const processor = await flow.scene.startProcessor({
    DATABASE_URL: network.url,
    CONTENT_DATABASE_URL: contentNetwork.url,
  });
  origin = await originOf(processor);
});
afterAll(async () => {
  await flow?.close();
  await network?.close();
  await contentNetwork?.close();
});
afterEach(async () => flow.simulator.clearScript());

it('all is well: ready, and every dependency says so', async () => {
  const { http, details } = await readinessOf(origin);
  expect(http).toBe(200);
  const names = ['postgres', 'content', 'migrations', 'draining', 'leases', 'outbox', 'work'];
  for (const name of [...names, 'retries', 'openai', 'runs'])
    expect([name, details[name]?.status]).toEqual([name, 'up']);
  expect((await fetch(`${origin}/startupz`)).status).toBe(200);
});

it('OpenAI fails: shown with its reason, ready all the same; forgotten once it answers', async () => {
  const word = randomUUID();
  const fault = { kind: 'status', status: 503 } as const;
  await flow.simulator.script({ match: { inputIncludes: word }, fault, times: 'always' });
  const asked = await Promise.all([1, 2, 3].map((n) => flow.runs.ask(`${word} ${n}`)));
  const failing = await readinessOnce(origin, 'openai', 'degraded');
  expect(failing).toMatchObject({ http: 200, status: 'degraded' });
  expect(failing.details['openai']?.message).toMatch(
    /^the last \d+ requests failed \(status 503\): runs wait and are tried again$/,
  );
  await flow.simulator.clearScript();
  await Promise.all(asked.map(({ id }) => flow.runs.completion(id)));
  expect((await readinessOnce(origin, 'openai', 'up')).http).toBe(200);
});

it('a migration that the schema lacks: not ready, and named', async () => {
  const taken = await flow.database.query<{ timestamp: bigint; name: string }>(
    `DELETE FROM processor.migrations WHERE id = (SELECT max(id) FROM processor.migrations) RETURNING timestamp, name`,
  );
  const [row] = taken.rows;
  const lacking = await readinessOf(origin);
  expect(lacking.http).toBe(503);
  expect(lacking.details['migrations']).toEqual({
    status: 'down',
    message: `schema processor lacks ${row?.name}: migrate it`,
  });
  await flow.database.query(`INSERT INTO processor.migrations (timestamp, name) VALUES ($1, $2)`, [
    row?.timestamp,
    row?.name,
  ]);
  expect((await readinessOf(origin)).http).toBe(200);
});

it('messages that nobody publishes: degraded, with how long the oldest has waited', async () => {
  await flow.database.query(
    `UPDATE processor.leases SET holder = 'spec', epoch = epoch + 1, until = now() + interval '1 hour'
     WHERE name = 'outbox-relay'`,
  );
  await flow.runs.ask('Who tells of this?');
  const late = await readinessOnce(origin, 'outbox', 'degraded', /^the oldest/);
  expect(late.http).toBe(200);
  expect(late.details['outbox']?.message).toMatch(
    /^the oldest message has waited 1\d s: no relay publishes/,
  );
  await flow.database.query(`UPDATE processor.leases SET until = now() WHERE holder = 'spec'`);
  await readinessOnce(origin, 'outbox', 'up');
});

it('the content store away, then Postgres silent, then gone: each is named, with what it looks like; alive all the while', async () => {
  const content = { port: contentNetwork.port };
  await contentNetwork.close();
  const without = await readinessOnce(origin, 'content', 'down', /ECONNREFUSED$/);
  expect(without.http).toBe(503);
  expect(without.details).toMatchObject({
    content: { message: 'does not answer: ECONNREFUSED' },
    postgres: { status: 'up' },
  });
  contentNetwork = await FaultyNetwork.before(flow.scene.database.url, content.port);
  await readinessOnce(origin, 'content', 'up');

  network.goSilent();
  const silent = await readinessOf(origin);
  expect(silent.http).toBe(503);
  expect(silent.details['postgres']).toEqual({
    status: 'down',
    message: 'does not answer: nothing came back within 2 s',
  });
  const { port } = network;
  await network.close();
  const gone = await readinessOnce(origin, 'postgres', 'down', /ECONN|57P01|connection/i);
  expect(gone.http).toBe(503);
  expect((await fetch(`${origin}/livez`)).status).toBe(200);
  network = await FaultyNetwork.before(flow.scene.database.url, port);
  expect((await readinessOnce(origin, 'postgres', 'up')).http).toBe(200);
});
