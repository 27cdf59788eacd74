/**
 * What is really on the topics is what `asyncapi.json` says. Real: api, processor and simulator as processes of their own, Postgres,
 * Kafka, an outside reader of all topics. Stands in: the simulator for OpenAI.
 */
import { randomUUID } from 'node:crypto';
import { asyncApiDocument } from '../../apps/api/src/describe-api/asyncapi.js';
import {
  describedAs,
  messageProblems,
  type PublishedRecord,
} from '../../dev/docs/check-message.js';
import { CANCEL_RUN, REQUEST_RUN, topics, type RunView } from '#libs/contracts';
import { uuidOf, type DecisionName, type RunId, type RunStatus } from '#libs/domain';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { originOf } from '../support/readiness.js';
import { headersOf, type NewRecord, type SeenRecord } from '../support/topic-watch.js';

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow({
    env: { PROCESSOR_RUN_SLOTS: '1', API_COMMAND_SOURCES: '/shop=default' },
  });
});
afterAll(async () => flow?.close());

it('every message of a run that completes, retries, fails, needs review, waits or is decided about is described, with its headers', async () => {
  const { runs, simulator, watch } = flow;
  await simulator.script(
    // Done when the spec says so, past its deadline, and not before it is cancelled.
    ...['first?', 'late?', 'from Kafka?'].map((text) => ({
      match: { inputIncludes: text },
      fault: { kind: 'latency', ms: 600_000 } as const,
    })),
    { match: { inputIncludes: 'refused' }, fault: fault(400, 'invalid_value'), times: 6 },
    { match: { inputIncludes: 'throttled' }, fault: throttled, times: 1 },
  );
  const ends = [
    await ending(await runs.ask('refused?'), 'needs_review'),
    await ending(await late(), 'failed'),
  ];
  const first = await runs.ask('first?');
  await runs.streamUntil(first.id, 'start', ({ status }) => status === 'running');
  const second = await runs.ask('second, which waits?');
  await runs.streamUntil(second.id, 'wait', ({ status }) => status === 'queued');
  await eventually('the first is at the model', async () => {
    const [call] = await simulator.callsOf(first.id);
    return call?.responseId;
  });
  await simulator.finish();
  ends.push(await ending(first, 'completed'), await ending(second, 'completed'));
  await decideAll();
  await latchAndRelease();
  await settleSpend();
  await watch.send([undecodable, ...commands]);
  await watch.first('refused command', (record) => typeOf(record).includes('command-refused'));
  await watch.first('refusal', (record) => typeOf(record).includes('dispatch-refused'));
  // The last one: OpenAI is not asked for anything until its time is over.
  ends.push(await ending(await runs.ask('throttled?'), 'retrying'));
  expect(ends.every(Boolean)).toBe(true);
  await flow.published();

  const published = watch.seen.filter((record) => record.headers['ce_type']).map(recordOf);
  for (const record of published) expect([record, messageProblems(record)]).toEqual([record, []]);
  const seen = new Set(published.map((record) => describedAs(record)?.split('/')[1]));
  expect([...seen].sort()).toEqual(Object.keys(asyncApiDocument().components.messages).sort());
});

async function ending(run: RunView, status: RunStatus): Promise<boolean> {
  const told = await flow.runs.streamUntil(run.id, status, (entry) => entry.status === status);
  return told.length > 0;
}

/** A refused key stops all runs; a person says that it is mended. */
async function latchAndRelease(): Promise<void> {
  const { runs, scene, simulator, watch } = flow;
  const question = 'with the wrong key?';
  await simulator.script({
    match: { inputIncludes: question },
    fault: fault(401, 'invalid_api_key'),
  });
  const { id } = await runs.ask(question);
  await runs.streamUntil(id, 'wait', ({ type }) => type === 'dev.holdfast.run.waiting.v1');
  const latched = await watch.first('the latch', (record) => record.topic === topics.opsEvents);
  const { latchId } = JSON.parse(String(latched.value)) as { latchId: string };
  const origin = await originOf(scene.processors[0]!);
  const path = `/v1/ops/gateway/latches/${latchId}/release`;
  expect((await fetch(origin + path, { method: 'POST' })).status).toBe(200);
  expect((await fetch(origin + path, { method: 'POST' })).status).toBe(404);
  expect(await ending((await runs.view(id)).run, 'completed')).toBe(true);
}

/** Its answer was found on its conversation, so that nobody knows what it cost; then somebody does. */
async function settleSpend(): Promise<void> {
  const { runs, simulator, watch, database } = flow;
  const question = 'with a lost reply?';
  const lost = { kind: 'reset_after_charge' } as const;
  await simulator.script({ match: { inputIncludes: question }, fault: lost });
  const { id } = await runs.ask(question);
  await runs.completion(id);
  const run = [uuidOf(id as RunId)];
  await database.query('UPDATE processor.calls SET cost = reserved WHERE run_id = $1', run);
  await database.query('UPDATE processor.unsettled_runs SET due_at = now() WHERE run_id = $1', run);
  await watch.first('the settlement', (record) => typeOf(record).includes('spend-settled'));
}

/** One run each for a decision to be made of it. */
async function decideAll(): Promise<void> {
  const { runs } = flow;
  const decide = async (decision: DecisionName, body: object) => {
    const { id } = await runs.ask(`refused, for a ${decision}?`);
    await runs.streamUntil(id, 'review', ({ status }) => status === 'needs_review');
    await runs.decide(id, decision, body);
  };
  await decide('cancel', { reason: 'nobody waits for it' });
  await decide('redrive', { reason: 'the cause is mended' });
  await decide('discard', { reason: 'it was a mistake' });
  await decide('complete', { result: { answer: 'By hand.', refused: false } });
  await decideOnceMore();
}

/** The discard again, as another decision: its run has ended by then, so it is refused. The api would not have sent it. */
async function decideOnceMore(): Promise<void> {
  const { watch } = flow;
  const discard = await watch.first('the discard', (record) =>
    typeOf(record).includes('discard-requested'),
  );
  const data = JSON.parse(String(discard.value)) as object;
  const value = Buffer.from(JSON.stringify({ ...data, decisionId: `dec_${randomUUID()}` }));
  const headers = { ...discard.headers, ce_id: randomUUID() };
  await watch.send([{ ...discard, headers, value }]);
  await watch.first('its refusal', (record) => typeOf(record).includes('decision-refused'));
}

/** Cannot be done within its deadline. */
async function late(): Promise<RunView> {
  const body = { workflow: 'answer', input: { question: 'late?' }, deadline: 'PT1S' };
  return (await flow.runs.submit(body)).body as RunView;
}

function fault(status: number, code: string) {
  return { kind: 'status' as const, status, code };
}

const throttled = {
  ...fault(429, 'rate_limit_exceeded'),
  headers: { 'retry-after': '8' },
};

const undecodable = {
  ...{ topic: topics.runRequested, partition: 0, key: Buffer.from('nobody'), headers: {} },
  value: Buffer.from('{"no":"envelope"}'),
};

/** A run, its cancel, and a cancel of a run that there is not. */
const commands: readonly NewRecord[] = [
  command(REQUEST_RUN, { workflow: 'answer', input: { question: 'from Kafka?' } }),
  command(CANCEL_RUN, { reason: 'no longer wanted' }),
  command(CANCEL_RUN, { idempotencyKey: 'nobody' }),
];

function command(type: string, data: object): NewRecord {
  const key = 'default order-1';
  const envelope = { ce_specversion: '1.0', ce_source: '/shop', ce_type: type, ce_subject: key };
  const now = { ce_id: randomUUID(), ce_time: new Date().toISOString(), ce_partitionkey: key };
  return {
    ...{ topic: topics.runCommands, partition: 0, key: Buffer.from(key) },
    headers: { ...envelope, ...now, 'content-type': 'application/json' },
    value: Buffer.from(JSON.stringify({ idempotencyKey: 'order-1', ...data })),
  };
}

function typeOf({ headers }: SeenRecord): string {
  return String(headers['ce_type'] ?? '');
}

function recordOf(record: SeenRecord): PublishedRecord {
  return {
    topic: record.topic,
    key: String(record.key),
    headers: headersOf(record),
    data: JSON.parse(String(record.value)) as unknown,
  };
}
