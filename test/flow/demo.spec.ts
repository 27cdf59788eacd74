/**
 * The demo as a newcomer runs it, `--exit` included. Real: every process of it, Postgres, Kafka. Stands in: the OpenAI simulator.
 * The servers are those that all specs share, named as servers of one's own.
 */
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TenderComplianceResult } from '#libs/workflows';
import { startApp } from '../support/app-process.js';
import { freshDatabase, freshTopicPrefix, kafkaBrokers } from '../support/stack.js';
import type { FreshDatabase } from '../support/stack.js';

let home: string;
let database: FreshDatabase;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-spec-'));
  database = await freshDatabase('empty');
});
afterAll(async () => {
  await database.drop();
  await rm(home, { recursive: true, force: true });
});

it('the demo shows a second submit find the first run, a run retry, three matrices, and nothing paid twice', async () => {
  const demo = startApp({
    script: 'dev/demo/main.js',
    args: ['--exit'],
    env: {
      HOLDFAST_HOME: home,
      DATABASE_URL: database.url,
      KAFKA_BROKERS: kafkaBrokers().join(','),
      HOLDFAST_TOPIC_PREFIX: freshTopicPrefix(),
      SIMULATOR_LATENCY_MS: '100',
    },
  });
  const exit = await demo.exited;
  const told = demo.output();
  expect({ exit, told }).toMatchObject({ exit: { code: 0 } });
  expect(told).toMatch(/The same Idempotency-Key found the first run: run_/);
  expect(told).toMatch(/retrying +Retrying: the AI service is overloaded/);
  expect(told.match(/completed +Completed\./g)).toHaveLength(3);
  expect(told).toMatch(/paid more than once: none/);

  const files = await readdir(join(home, 'results'));
  expect(files).toHaveLength(3);
  for (const file of files) {
    const text = await readFile(join(home, 'results', file), 'utf8');
    const matrix = JSON.parse(text) as TenderComplianceResult;
    expect(matrix.requirements.length).toBeGreaterThanOrEqual(30);
  }
});
