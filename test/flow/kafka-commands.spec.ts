/**
 * Holdfast for a service that knows Kafka only: it asks, cancels, and learns what became of it, on topics alone. Real: api and
 * processor as processes of their own, kill -9, Postgres, Kafka. Stands in: the simulator for OpenAI, with a charge counter.
 */
import { randomUUID } from 'node:crypto';
import {
  CANCEL_RUN,
  consumerGroups,
  REQUEST_RUN,
  topics,
  type RunEventBase,
} from '#libs/contracts';
import { uuidOf, type RunId } from '#libs/domain';
import { startApp } from '../support/app-process.js';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { storyOf } from '../support/run-story.js';
import { kafkaBrokers } from '../support/stack.js';
import { headerOf, type NewRecord, type SeenRecord } from '../support/topic-watch.js';

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow({ env: { API_COMMAND_SOURCES: '/shop=default' } });
});
afterAll(async () => flow?.close());

const PARTITIONS = 12;
let sent = 0;

/** As a service's own producer would write it; a fresh partition each time, as if keys were spread. */
function command(type: string, data: object, partition = sent++ % PARTITIONS): NewRecord {
  const headers = {
    ...{ ce_specversion: '1.0', ce_id: randomUUID(), ce_source: '/shop', ce_type: type },
    ...{ ce_subject: 'order', ce_time: new Date().toISOString() },
  };
  const key = Buffer.from(`partition ${partition}`);
  const value = Buffer.from(JSON.stringify(data));
  return { topic: topics.runCommands, partition, key, value, headers };
}

const request = (idempotencyKey: string, question: string, partition?: number) =>
  command(
    REQUEST_RUN,
    { idempotencyKey, workflow: 'answer', input: { question }, reference: idempotencyKey },
    partition,
  );

/** The first event of this name about what was asked for under the key, which is its reference, too. */
async function told(reference: string, name: string): Promise<RunEventBase> {
  const isIt = (record: SeenRecord) =>
    record.topic === topics.runEvents &&
    headerOf(record, 'ce_type') === `dev.holdfast.run.${name}.v1` &&
    dataOf(record).reference === reference;
  return dataOf(await flow.watch.first(`${name} of ${reference}`, isIt));
}

function dataOf(record: SeenRecord): RunEventBase {
  return JSON.parse(String(record.value)) as RunEventBase;
}

it('a run that is asked for is carried out and told of, once, though 40 asked under one key over both ways', async () => {
  const [key, question] = [randomUUID(), 'What is asked for twice?'];
  const body = { workflow: 'answer', input: { question }, reference: key };
  const [answers] = await Promise.all([
    Promise.all(Array.from({ length: 20 }, () => flow.runs.submit(body, key))),
    flow.watch.send(Array.from({ length: 20 }, () => request(key, question))),
  ]);
  const { runId } = await told(key, 'completed');
  expect(new Set(answers.map((answer) => (answer.body as { id: string }).id))).toEqual(
    new Set([runId]),
  );
  await flow.watch.settledBy(consumerGroups.submitRuns);
  expect(Object.values(await flow.simulator.chargesOf(runId))).toEqual([1]);
});

it('a call in flight is cancelled at OpenAI, and the run ends as cancelled, with what was spent', async () => {
  const [key, question] = [randomUUID(), 'What takes too long?'];
  const fault = { kind: 'latency', ms: 60_000 } as const;
  await flow.simulator.script({ match: { inputIncludes: question }, fault });
  await flow.watch.send([request(key, question, 3)]);
  const { runId } = await told(key, 'started');
  await eventually('the call is at OpenAI', async () => (await callsOf(runId))[0] === 'accepted');

  const cancel = { idempotencyKey: key, reason: 'the order was withdrawn' };
  await flow.watch.send([command(CANCEL_RUN, cancel, 3), command(CANCEL_RUN, cancel, 3)]);
  const cancelled = await told(key, 'cancelled');
  expect(cancelled).toMatchObject({ runId, status: 'cancelled' });
  expect(await callsOf(runId)).toEqual(['cancelled']);
  await flow.published();
  const names = (await storyOf(flow.watch, runId)).map(({ name }) => name);
  expect(names.slice(-2)).toEqual(['RunDecisionApplied', 'RunCancelled']);
  const decisions = await flow.runs.decisions(runId);
  expect(decisions).toMatchObject([
    { decision: 'cancel', state: 'applied', reason: cancel.reason },
  ]);
});

it('an api that is killed among commands takes each of them all the same, once, the next time', async () => {
  const keys = Array.from({ length: 60 }, () => randomUUID());
  const refused = { ...request('a key with spaces', 'x'), key: Buffer.from('refused') };
  await flow.watch.send([...keys.map((key) => request(key, `What of ${key}?`)), refused]);
  await eventually('some of them are runs', async () => (await runsOf(keys)) > 0);
  await flow.scene.api.killHard();
  const { database, topicPrefix } = flow.scene;
  const again = startApp({
    script: 'apps/api/src/main.js',
    env: {
      ...{ DATABASE_URL: database.url, KAFKA_BROKERS: kafkaBrokers().join() },
      ...{ HOLDFAST_TOPIC_PREFIX: topicPrefix, API_PORT: '0', LOG_LEVEL: 'warn' },
      API_COMMAND_SOURCES: '/shop=default',
    },
  });
  try {
    await again.ready();
    await flow.watch.settledBy(consumerGroups.submitRuns);
    expect(await runsOf(keys)).toBe(60);
    for (const key of keys) await told(key, 'completed');
    await flow.published();
    const requested = flow.watch.seen.filter(
      (record) => headerOf(record, 'ce_type') === 'dev.holdfast.run.requested.v1',
    );
    const ids = requested.map((record) => headerOf(record, 'ce_id'));
    const subjects = requested.map((record) => headerOf(record, 'ce_subject'));
    expect(new Set(ids).size).toBe(new Set(subjects).size);
    const letters = flow.watch.seen.filter(
      ({ topic, key }) => topic === topics.runCommandsDeadLetters && String(key) === 'refused',
    );
    expect(new Set(letters.map((letter) => headerOf(letter, 'ce_id'))).size).toBe(1);
  } finally {
    await again.killHard();
  }
});

async function runsOf(keys: readonly string[]): Promise<number> {
  const sql = 'SELECT FROM api.runs WHERE idempotency_key = ANY($1::text[])';
  return (await flow.database.query(sql, [keys])).rowCount;
}

/** States of the run's calls in the ledger. */
async function callsOf(runId: string): Promise<string[]> {
  const sql = 'SELECT state FROM processor.calls WHERE run_id = $1 ORDER BY call_id';
  const { rows } = await flow.database.query<{ state: string }>(sql, [uuidOf(runId as RunId)]);
  return rows.map(({ state }) => state);
}
