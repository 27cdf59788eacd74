/**
 * The start of both apps, when not all is as it should be. Real: api and processor as processes of their own, Postgres, Kafka.
 * Stands in: TCP proxies, for servers that come late. OpenAI is not reached.
 */
import { startApp, runToEnd, type AppProcess } from '../support/app-process.js';
import { freshDatabase, freshTopicPrefix, kafkaBrokers } from '../support/stack.js';
import type { FreshDatabase } from '../support/stack.js';
import { FaultyNetwork } from '../integration/postgres/faulty-network.js';

const scripts = { api: 'apps/api/src/main.js', processor: 'apps/processor/src/main.js' };
type AppName = keyof typeof scripts;

let database: FreshDatabase;
let env: Record<string, string>;
const started: AppProcess[] = [];
const networks: FaultyNetwork[] = [];

beforeAll(async () => {
  database = await freshDatabase('migrated');
  env = {
    DATABASE_URL: database.url,
    KAFKA_BROKERS: kafkaBrokers().join(','),
    HOLDFAST_TOPIC_PREFIX: freshTopicPrefix(),
    OPENAI_BASE_URL: 'http://127.0.0.1:9/v1',
    OPENAI_API_KEY: 'sk-nobody',
    API_PORT: '0',
    PROCESSOR_PORT: '0',
    LOG_LEVEL: 'warn',
  };
});
afterAll(async () => {
  await Promise.all(started.map((app) => app.killHard()));
  await Promise.all(networks.map((network) => network.close()));
  await database?.drop();
});

function start(name: AppName, overrides: Record<string, string>): AppProcess {
  const app = startApp({ script: scripts[name], env: { ...env, ...overrides } });
  started.push(app);
  return app;
}

it('a processor with bad settings names all of them at once, no value of theirs, and ends with 78', async () => {
  const bad = {
    DATABASE_URL: 'mysql://root:hunter2@localhost/x',
    KAFKA_BROKERS: 'nowhere',
    HOLDFAST_TOPIC_PREFIX: 'a b',
    HOLDFAST_HOST: '0.0.0.0',
    OPENAI_BASE_URL: '',
    OPENAI_API_KEY: 'two words',
    PROCESSOR_PORT: '-1',
    PROCESSOR_RUN_SLOTS: 'many',
    PROCESSOR_DRAIN_MS: '1e3',
    LOG_LEVEL: 'loud',
  };
  const app = start('processor', bad);
  expect(await app.exited).toEqual({ code: 78, signal: null });
  for (const name of Object.keys(bad)) expect(app.output()).toContain(`  ${name}: `);
  expect(app.output()).not.toMatch(/hunter2|two words/);
});

it('a processor before its topics were made ends with the command that makes them', async () => {
  const app = start('processor', {});
  expect(await app.exited).toEqual({ code: 1, signal: null });
  expect(app.output()).toContain('node dist/dev/stack/create-topics.js');
  await runToEnd({ script: 'dev/stack/create-topics.js', env });
});

describe.each(['api', 'processor'] as const)('the %s', (name) => {
  it('before Postgres and Kafka are there waits, says for what, and starts when they come', async () => {
    const postgres = await away(database.url);
    const kafka = await away(`kafka://${kafkaBrokers()[0]}`);
    const late = start(name, {
      DATABASE_URL: postgres.url,
      KAFKA_BROKERS: `127.0.0.1:${kafka.port}`,
    });
    await late.line(/waiting for Postgres at 127\.0\.0\.1:\d+\/spec_/);
    await postgres.comes();
    await late.line(new RegExp(`waiting for Kafka at 127\\.0\\.0\\.1:${kafka.port}`));
    expect(late.output()).not.toMatch(/^ready:/m);
    await kafka.comes();
    expect(await late.ready()).toMatch(
      new RegExp(`^ready: ${name} on http://127\\.0\\.0\\.1:\\d+, `),
    );
    expect(await late.stop()).toEqual({ code: 0, signal: null });
  });

  it.each([
    ['Postgres', 'DATABASE_URL'],
    ['Kafka', 'KAFKA_BROKERS'],
  ])('SIGTERM ends the wait for %s', async (server, setting) => {
    const { url, port } = await away(database.url);
    const app = start(name, { [setting]: server === 'Kafka' ? `127.0.0.1:${port}` : url });
    await app.line(new RegExp(`waiting for ${server}`));
    const askedAt = performance.now();
    expect(await app.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - askedAt).toBeLessThan(3_000);
    expect(app.output()).not.toContain('left open');
  });
});

/** An address where nobody listens until the server comes. */
async function away(target: string) {
  const reserved = await FaultyNetwork.before(target);
  const { url, port } = reserved;
  await reserved.close();
  const comes = async () => void networks.push(await FaultyNetwork.before(target, port));
  return { url, port, comes };
}
