/** Real: the api as a process of its own, Postgres, Kafka. Stands in: a TCP proxy, for a Postgres that comes late. */
import { randomUUID } from 'node:crypto';
import type { RunView } from '#libs/contracts';
import { topicDefinitions } from '#libs/contracts';
import { createTopics, KafkaConnection, silentLog } from '#libs/messaging';
import { startApp, type AppProcess } from '../../support/app-process.js';
import {
  freshDatabase,
  freshTopicPrefix,
  kafkaBrokers,
  type FreshDatabase,
} from '../../support/stack.js';
import { FaultyNetwork } from '../postgres/faulty-network.js';
import { openStream, take } from './event-stream.js';

const api = 'apps/api/src/main.js';
const migrateScript = 'apps/api/src/migrate.js';

let fresh: FreshDatabase;
let network: FaultyNetwork | undefined;
let env: Record<string, string>;
const started: AppProcess[] = [];

function start(script: string, overrides: Record<string, string> = {}): AppProcess {
  const app = startApp({ script, env: { ...env, ...overrides } });
  started.push(app);
  return app;
}

beforeAll(async () => {
  fresh = await freshDatabase();
  env = {
    DATABASE_URL: fresh.url,
    KAFKA_BROKERS: kafkaBrokers().join(','),
    HOLDFAST_TOPIC_PREFIX: freshTopicPrefix(),
    API_PORT: '0',
    API_DRAIN_MS: '3000',
  };
});
afterAll(async () => {
  await Promise.all(started.map((app) => app.killHard()));
  await network?.close();
  await fresh?.drop();
});

describe('the api, started', () => {
  it('with bad settings names all of them and ends with 78', async () => {
    const app = start(api, {
      DATABASE_URL: 'nonsense',
      KAFKA_BROKERS: '',
      API_PORT: 'x',
      HOLDFAST_HOST: '0.0.0.0',
    });
    expect(await app.exited).toEqual({ code: 78, signal: null });
    for (const name of ['DATABASE_URL', 'KAFKA_BROKERS', 'API_PORT', 'HOLDFAST_HOST'])
      expect(app.output()).toContain(`  ${name}: `);
  });

  it('before it was migrated says which command migrates', async () => {
    const app = start(api);
    expect(await app.exited).toEqual({ code: 1, signal: null });
    expect(app.output()).toContain('lacks CreateRuns');
    expect(app.output()).toContain('"run":"node dist/apps/api/src/migrate.js"');
  });

  it('before its topics were made says which command makes them', async () => {
    const once = start(migrateScript, { KAFKA_BROKERS: '' });
    expect(await once.exited).toEqual({ code: 0, signal: null });
    expect(once.output()).toMatch(/schema api: ran CreateRuns/);
    const twice = start(migrateScript);
    await twice.exited;
    expect(twice.output()).toContain('schema api: up to date');

    const app = start(api);
    expect(await app.exited).toEqual({ code: 1, signal: null });
    expect(app.output()).toContain('node dist/dev/stack/create-topics.js');
  });

  it('before Postgres waits with a clear line, then is ready; SIGTERM ends its streams and itself', async () => {
    await makeTopics();
    const reserved = await FaultyNetwork.before(fresh.url);
    const { port, url } = reserved;
    await reserved.close();
    const app = start(api, { DATABASE_URL: url });
    await app.line(/waiting for Postgres at 127\.0\.0\.1:\d+/);
    network = await FaultyNetwork.before(fresh.url, port);
    const ready = await app.ready();
    expect(ready).toMatch(
      /^ready: api on http:\/\/127\.0\.0\.1:\d+, Postgres .*, Kafka .*\(topics t/,
    );

    const base = /http:\S+\d/.exec(ready)?.[0] ?? '';
    const answer = await fetch(`${base}/v1/runs`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': randomUUID() },
      body: JSON.stringify({ workflow: 'answer', input: { question: 'Why?' } }),
    });
    const { id } = (await answer.json()) as RunView;
    const frames = take(await openStream(`${base}/v1/runs/${id}/events`));
    const stoppedAt = performance.now();
    expect(await app.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - stoppedAt).toBeLessThan(5_000);
    expect(await frames).toEqual([]);
    expect(app.output()).toContain('drained');
  });
});

async function makeTopics(): Promise<void> {
  const kafka = new KafkaConnection({
    brokers: kafkaBrokers(),
    clientId: 'api.spec',
    topicPrefix: env['HOLDFAST_TOPIC_PREFIX'] ?? '',
    log: silentLog,
  });
  await createTopics(kafka, topicDefinitions(1));
}
