/** Real: api, Postgres, Kafka; commands are sent, and refusals consumed, as callers would. Stands in: the processor, whose events the spec writes. */
import { randomUUID } from 'node:crypto';
import {
  CANCEL_RUN,
  consumerGroups,
  REQUEST_RUN,
  RUN_COMMAND_REFUSED,
  topics,
  type RunCommandRefused,
  type RunView,
} from '#libs/contracts';
import { Consumer, silentLog, type ReceivedMessage } from '#libs/messaging';
import { ProjectRuns } from '../../../apps/api/src/project-runs/project-runs.js';
import { TakeCommands } from '../../../apps/api/src/submit-runs/take-commands.js';
import { eventually } from '../../support/eventually.js';
import {
  kafkaConnectionFor,
  startTestApi,
  type CommandRecord,
  type TestApi,
} from './api-fixture.js';
import { eventMessage, received } from './run-story.js';

let api: TestApi;
let reader: Consumer;
/** What lies on the topics of refusals and of work. */
const seen: ReceivedMessage[] = [];
beforeAll(async () => {
  api = await startTestApi({
    ...{ API_COMMAND_SOURCES: '/shop=default,/crm=acme', API_MAX_UNFINISHED_RUNS: '400' },
    API_MAX_BODY_BYTES: '20000',
  });
  reader = new Consumer({
    kafka: kafkaConnectionFor(api.settings),
    groupId: 'a-caller',
    topics: [topics.runCommandsDeadLetters, topics.runRequested],
    log: silentLog,
    onCrash: (error) => {
      throw error;
    },
    handler: async (decoded) => {
      if (decoded.kind === 'message') seen.push(decoded.message);
    },
  });
  await reader.start();
});
afterAll(async () => {
  await reader?.stop({ graceMs: 1_000 });
  await api?.stop();
});

const question = { workflow: 'answer', input: { question: 'Why is the sky blue?' } };

function command(
  type: string,
  data: unknown,
  more: { source?: string; key?: string; id?: string } = {},
): CommandRecord & { readonly id: string } {
  const { source = '/shop', key = randomUUID(), id = randomUUID() } = more;
  const value = typeof data === 'string' ? data : JSON.stringify(data);
  const headers = {
    ...{ ce_specversion: '1.0', ce_id: id, ce_source: source, ce_type: type, ce_subject: key },
    ...{ ce_time: new Date().toISOString(), 'content-type': 'application/json' },
  };
  return { id, key, value, headers };
}
const request = (idempotencyKey: string, body: object = question, more = {}) =>
  command(REQUEST_RUN, { ...body, idempotencyKey }, more);
const cancel = (idempotencyKey: string, more: { reason?: string; key?: string } = {}) => {
  const { key, ...fields } = more;
  return command(CANCEL_RUN, { idempotencyKey, ...fields }, key === undefined ? {} : { key });
};

const submit = (key: string, body: object = question) =>
  api.http().post('/v1/runs').set('Idempotency-Key', key).send(body);

interface StoredRun {
  readonly id: string;
  readonly tenant: string;
}

async function runsUnder(key: string): Promise<StoredRun[]> {
  const sql = 'SELECT id, tenant FROM api.runs WHERE idempotency_key = $1';
  return (await api.database.query<StoredRun>(sql, [key])).rows;
}

const runUnder = (key: string) =>
  eventually(`a run under ${key}`, async () => (await runsUnder(key))[0]);

async function viewOf({ id }: StoredRun): Promise<RunView> {
  return (await api.http().get(`/v1/runs/run_${id}`).expect(200)).body as RunView;
}

/** The refusal of this command, as its sender finds it. */
async function refusalOf({ id }: { readonly id: string }) {
  const message = await eventually(`the refusal of ${id}`, () =>
    seen.find(({ type, causationId }) => type === RUN_COMMAND_REFUSED && causationId === id),
  );
  return { message, data: message.data as RunCommandRefused };
}

const requestsOf = ({ id }: StoredRun) => seen.filter(({ key }) => key === `run_${id}`);

/** Everything on the commands topic is settled and committed. */
async function settled(): Promise<void> {
  const kafka = kafkaConnectionFor(api.settings);
  const admin = kafka.newClient().admin();
  await admin.connect();
  try {
    const topic = kafka.topicName(topics.runCommands);
    const groupId = kafka.groupName(consumerGroups.submitRuns);
    await eventually('all commands are committed', async () => {
      const ends = await admin.fetchTopicOffsets(topic);
      const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] });
      return ends.every(({ partition, high }) => {
        const at = committed?.partitions.find((each) => each.partition === partition)?.offset;
        return high === '0' || at === high;
      });
    });
  } finally {
    await admin.disconnect();
  }
}

describe('a run that is asked for over Kafka', () => {
  it('is the run that HTTP would make, for the tenant of its source, in the trace of its sender', async () => {
    const [mine, others] = [randomUUID(), randomUUID()];
    const body = { ...question, reference: 'tender 7', labels: { team: 'bids' } };
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const ofMine = request(mine, body);
    const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
    await api.command([
      { ...ofMine, headers: { ...ofMine.headers, traceparent } },
      request(others, body, { source: '/crm' }),
    ]);
    const run = await runUnder(mine);
    const view = await viewOf(run);
    expect(view).toMatchObject({ tenant: 'default', status: 'queued', reference: 'tender 7' });
    expect(await runUnder(others)).toMatchObject({ tenant: 'acme' });
    const [work] = await eventually('its request', () => {
      const found = requestsOf(run);
      return found.length > 0 && found;
    });
    expect(work?.traceparent).toContain(traceId);
  });

  it('is found by HTTP under the same key and body, and the other way round', async () => {
    const [kafkaFirst, httpFirst] = [randomUUID(), randomUUID()];
    await api.command([request(kafkaFirst)]);
    const run = await runUnder(kafkaFirst);
    const replay = await submit(kafkaFirst).expect(202);
    expect(replay.headers['idempotency-replayed']).toBe('true');
    expect((replay.body as RunView).id).toBe(`run_${run.id}`);
    await submit(kafkaFirst, { ...question, reference: 'another' }).expect(422);

    await submit(httpFirst).expect(202);
    const other = request(httpFirst, { ...question, reference: 'another' });
    await api.command([request(httpFirst), other]);
    expect((await refusalOf(other)).data).toMatchObject({
      ...{ code: 'idempotency_key_reused', idempotencyKey: httpFirst, source: '/shop' },
    });
    await settled();
    expect(await runsUnder(httpFirst)).toHaveLength(1);
  });

  it('is one run of 50 submits at once, half of them over HTTP', async () => {
    const key = randomUUID();
    const [answers] = await Promise.all([
      Promise.all(Array.from({ length: 25 }, () => submit(key))),
      api.command(Array.from({ length: 25 }, () => request(key))),
    ]);
    await settled();
    const runs = await runsUnder(key);
    expect(runs).toHaveLength(1);
    const ids = new Set(answers.map(({ body }) => (body as RunView).id));
    expect([...ids]).toEqual([`run_${runs[0]?.id}`]);
    const outbox = 'SELECT FROM api.outbox';
    await eventually('all is sent', async () => (await api.database.query(outbox)).rowCount === 0);
    const [run] = runs;
    await eventually('its request', () => run && requestsOf(run).length > 0);
    expect(run && requestsOf(run)).toHaveLength(1);
    expect(seen.filter(({ type }) => type === RUN_COMMAND_REFUSED).map(keyOf)).not.toContain(key);
  });
});

describe('a cancel over Kafka', () => {
  it('stops the run of its key, behind its request; 10 of them are one decision', async () => {
    const key = randomUUID();
    const inOrder = { key };
    await api.command([
      request(key, question, inOrder),
      ...Array.from({ length: 10 }, () => cancel(key, { ...inOrder, reason: 'no longer wanted' })),
    ]);
    await settled();
    const run = await runUnder(key);
    expect(await viewOf(run)).toMatchObject({ cancelling: true, revision: 1 });
    const answer = await api.http().get(`/v1/runs/run_${run.id}/decisions`).expect(200);
    expect(answer.body).toMatchObject({
      decisions: [{ decision: 'cancel', state: 'pending', reason: 'no longer wanted' }],
    });
    await eventually('request and cancel', () => requestsOf(run).length === 2);
    expect(requestsOf(run).map(({ type }) => type)).toEqual([
      'dev.holdfast.run.requested.v1',
      'dev.holdfast.run.cancel-requested.v1',
    ]);
  });

  it('that comes again after it was too late is still the same decision', async () => {
    const key = randomUUID();
    const late = received({
      ...{ id: randomUUID(), source: '/shop', type: CANCEL_RUN, subject: key, key },
      ...{ time: new Date(), data: { idempotencyKey: key } },
    });
    await submit(key).expect(202);
    const commands = api.app.get(TakeCommands);
    await commands.take(late);
    const run = await runUnder(key);
    const [made] = (await decisionsOf(run)).map(({ id }) => id);
    const usage = { calls: 0, inputTokens: 0, cachedInputTokens: 0 };
    const occurredAt = new Date().toISOString();
    const refusal = { code: 'run_already_ended', reason: 'the run has already ended' };
    for (const message of [
      eventMessage(run.id, 'RunCompleted', {
        ...{ version: 1, status: 'completed', occurredAt, resultRef: 'cnt_x', durationMs: 1 },
        usage: { ...usage, outputTokens: 0, reasoningTokens: 0 },
      }),
      eventMessage(run.id, 'RunDecisionRefused', {
        ...{ version: 2, status: 'completed', occurredAt },
        ...{ decisionId: made, decision: 'cancel', ...refusal },
      }),
    ])
      await api.app.get(ProjectRuns).take(received(message));
    await commands.take(late);
    expect(await decisionsOf(run)).toMatchObject([{ id: made, state: 'refused' }]);
    expect(seen.filter(({ causationId }) => causationId === late.id)).toEqual([]);
  });

  it.each(['completed', 'failed'])('of a run that has %s is refused', async (status) => {
    const key = randomUUID();
    await submit(key).expect(202);
    const sql = 'UPDATE api.runs SET status = $2 WHERE idempotency_key = $1';
    await api.database.query(sql, [key, status]);
    const sent = cancel(key);
    await api.command([sent]);
    expect((await refusalOf(sent)).data).toMatchObject({ code: 'run_already_ended' });
  });
});

describe('a command that cannot be taken', () => {
  const nested = `{"idempotencyKey":"deep","workflow":"answer","input":${'['.repeat(8_000)}${']'.repeat(8_000)}}`;
  const key = randomUUID();
  it.each<[string, string, CommandRecord & { readonly id: string }]>([
    ['of an unknown source', 'unknown_source', request(key, question, { source: '/nobody' })],
    ['of an unknown type', 'unknown_command', command('dev.holdfast.run.paint.v1', {})],
    ['of an unknown version', 'unknown_command', command('dev.holdfast.run.request.v2', {})],
    ['without a key', 'invalid_body', command(REQUEST_RUN, question)],
    ['with a key that is none', 'invalid_body', request('a b')],
    ['that is no object', 'invalid_body', command(REQUEST_RUN, [])],
    ['with an unknown field', 'invalid_body', request(key, { ...question, colour: 'blue' })],
    ['for an unknown workflow', 'unknown_workflow', request(key, { ...question, workflow: 'x' })],
    ['with a wrong input', 'invalid_input', request(key, { ...question, input: {} })],
    [
      'with documents that there are not',
      'invalid_documents',
      request(key, {
        ...{ workflow: 'tender-compliance', input: {} },
        documents: [`doc_${'a'.repeat(43)}`],
      }),
    ],
    [
      'with half a surrogate pair',
      'invalid_body',
      request(key, { ...question, reference: '\ud83d' }),
    ],
    ['that is nested without end', 'json_too_deep', command(REQUEST_RUN, nested)],
    ['that is no JSON', 'json_invalid', command(REQUEST_RUN, '{"secret')],
    ['that is too large', 'value_too_large', request(key, { ...question, x: 'x'.repeat(30_000) })],
    ['to cancel what there is not', 'run_not_found', cancel(randomUUID())],
    ['to cancel with a wrong reason', 'invalid_body', cancel(randomUUID(), { reason: 'a\nb' })],
  ])('%s is refused, and its sender is told', async (_, code, sent) => {
    await api.command([sent]);
    const { message, data } = await refusalOf(sent);
    expect(data).toMatchObject({ code, reason: expect.any(String) as string });
    expect(data.bodyHash).toMatch(/^[0-9a-f]{64}$/);
    expect(message.key).toBe(sent.key);
    expect(message.headers).toMatchObject({
      'x-holdfast-original-topic': topics.runCommands,
      'x-holdfast-original-partition': expect.stringMatching(/^\d+$/) as string,
      'x-holdfast-original-offset': expect.stringMatching(/^\d+$/) as string,
      'x-holdfast-error-code': code,
      'kafka_dlt-original-topic': topics.runCommands,
    });
    const told = JSON.stringify(message);
    for (const word of ['sky blue', 'secret', 'blue"']) expect(told).not.toContain(word);
    expect(await runsUnder(key)).toEqual([]);
  });

  it('holds up none of the good ones around it, on the same partition and under the same key', async () => {
    const lane = randomUUID();
    const good = Array.from({ length: 20 }, () => randomUUID());
    const poison: CommandRecord[] = [
      { key: lane, value: null },
      { key: lane, value: Buffer.from([0xff, 0xfe]) },
      { key: lane, value: '{}' },
      { ...command(REQUEST_RUN, nested), key: lane },
      { ...command(REQUEST_RUN, '{"a":1e999}'), key: lane },
      { ...command(REQUEST_RUN, '{"__proto__":1}'), key: lane },
      { ...command(CANCEL_RUN, 'null'), key: lane },
    ];
    const around = (n: number) => [request(good[n] ?? '', question, { key: lane })];
    await api.command(good.flatMap((_, n) => [...around(n), ...poison.slice(n % 7, (n % 7) + 1)]));
    await settled();
    for (const each of good) expect(await runsUnder(each)).toHaveLength(1);
    const refused = () =>
      seen.filter((each) => each.type === RUN_COMMAND_REFUSED && each.key === lane);
    await eventually('20 refusals', () => refused().length === 20);
  });

  it('stays refused when it comes again, though there would be room by then', async () => {
    const room = 'UPDATE api.runs SET status = $1 WHERE status = $2';
    const fill = `INSERT INTO api.runs (tenant, id, workflow, workflow_version, documents, priority, labels, status,
                                        attempt, max_attempts, created_at)
                  SELECT 'default', gen_random_uuid(), 'answer', 1, '[]', 'interactive', '{}', 'running', 1, 5, now()
                  FROM generate_series(1, 400)`;
    await api.database.query(fill);
    const status = async () => (await submit(randomUUID())).status;
    await eventually('no room', async () => (await status()) === 429); // a count holds for 200 ms
    const [late, again] = [randomUUID(), randomUUID()];
    const sent = request(late);
    await api.command([sent]);
    const { message, data } = await refusalOf(sent);
    expect(data.code).toBe('too_many_unfinished_runs');
    await api.database.query(room, ['completed', 'running']);
    await eventually('room', async () => (await status()) === 202);

    const { headers } = message;
    const commands = api.app.get(TakeCommands);
    await commands.take({
      ...{ id: sent.id, source: '/shop', type: REQUEST_RUN, subject: late, key: late, headers: {} },
      ...{ time: new Date(), data: { ...question, idempotencyKey: late } },
      position: {
        topic: topics.runCommands,
        partition: Number(headers['x-holdfast-original-partition']),
        offset: headers['x-holdfast-original-offset'] ?? '',
        timestamp: Number(headers['x-holdfast-original-timestamp']),
      },
    });
    expect(await runsUnder(late)).toEqual([]);
    await api.command([request(again), request(late)]); // a new command is a new chance
    await runUnder(again);
    await runUnder(late);
    expect(seen.filter(({ causationId }) => causationId === sent.id)).toHaveLength(1);
  });
});

function keyOf({ data }: ReceivedMessage): string | null {
  return (data as RunCommandRefused).idempotencyKey;
}

async function decisionsOf({ id }: StoredRun): Promise<{ id: string; state: string }[]> {
  const answer = await api.http().get(`/v1/runs/run_${id}/decisions`).expect(200);
  return (answer.body as { decisions: { id: string; state: string }[] }).decisions;
}
