/**
 * What each record of one run's work says, from its request over a retry to its dead letter. Real: api, processor, Postgres, Kafka,
 * an outside consumer. Stands in: the simulator for OpenAI, told to answer 429 and then 400.
 */
import { topics } from '#libs/contracts';
import { uuidOf, type RunId } from '#libs/domain';
import { openFlow, type Flow } from '../support/flow.js';
import { headersOf, type SeenRecord } from '../support/topic-watch.js';

const secret = 'Does clause 17 bind the wandering heron consortium?';
const retryAfterMs = 6_000;

let flow: Flow;
let request: SeenRecord;
let retry: SeenRecord;
let letter: SeenRecord;
let runId: string;

beforeAll(async () => {
  flow = await openFlow();
  const { runs, simulator, watch } = flow;
  const match = { inputIncludes: secret };
  await simulator.script(
    {
      match,
      fault: {
        ...{ kind: 'status', status: 429, code: 'rate_limit_exceeded', message: `Slow: ${secret}` },
        headers: { 'retry-after': String(retryAfterMs / 1_000) },
      },
    },
    { match, fault: { kind: 'status', status: 400, code: 'invalid_value', message: secret } },
  );
  runId = (await runs.ask(secret)).id;
  await runs.streamUntil(runId, 'stop', ({ status }) => status === 'needs_review');
  await flow.published();
  const only = (topic: string) => {
    const found = watch.of(topic, runId);
    expect([topic, found.length]).toEqual([topic, 1]);
    return found[0]!;
  };
  request = only(topics.runRequested);
  retry = only(`${topics.runRequested}.retry.5s`);
  letter = only(topics.runRequestedDeadLetters);
});
afterAll(async () => flow?.close());

const digits = expect.stringMatching(/^\d{13}$/) as string;

it('all three are the same work: its key, its partition, its trace, its body', () => {
  const { traceparent } = headersOf(request);
  for (const record of [retry, letter]) {
    expect(record.key?.toString()).toBe(runId);
    expect(record.partition).toBe(request.partition);
    expect(JSON.parse(String(record.value))).toEqual(JSON.parse(String(request.value)));
    expect(headersOf(record)).toMatchObject({
      ...{ ce_type: 'dev.holdfast.run.requested.v1', ce_specversion: '1.0', ce_subject: runId },
      ...{ ce_partitionkey: runId, ce_correlationid: runId, 'content-type': 'application/json' },
      traceparent,
    });
  }
  const ids = [request, retry, letter].map((record) => headersOf(record).ce_id);
  expect(new Set(ids).size).toBe(3);
});

it('the request carries its counters and whose it is, and says nothing of retries', () => {
  const own = Object.entries(headersOf(request)).filter(([name]) => !/^ce_|^content/.test(name));
  expect(Object.fromEntries(own)).toEqual({
    'x-holdfast-dispatch': '1',
    'x-holdfast-hop': '0',
    'x-holdfast-tenant': 'default',
    'x-holdfast-workflow': 'answer',
    'x-holdfast-workflow-version': '1',
    traceparent: headersOf(request).traceparent,
  });
});

it('where the first message lies, and when it failed first, is written once and carried on', () => {
  const carried = (record: SeenRecord) =>
    Object.fromEntries(
      Object.entries(headersOf(record)).filter(([name]) => /original-|first-failed/.test(name)),
    );
  const origin = {
    'x-holdfast-original-topic': topics.runRequested,
    'x-holdfast-original-partition': String(request.partition),
    'x-holdfast-original-offset': request.offset,
    'x-holdfast-original-timestamp': digits,
    'x-holdfast-first-failed-at': digits,
  };
  expect(carried(retry)).toEqual(origin);
  expect(carried(letter)).toEqual({
    ...carried(retry),
    'kafka_dlt-original-topic': topics.runRequested,
    'kafka_dlt-original-partition': String(request.partition),
    'kafka_dlt-original-offset': request.offset,
  });
});

it('the retry says which dispatch it is, from when it may start, and what failed last', () => {
  const headers = headersOf(retry);
  expect(headers).toMatchObject({
    'x-holdfast-dispatch': '2',
    'x-holdfast-hop': '0',
    'x-holdfast-attempt': '1', // throttling uses none
    'x-holdfast-max-attempts': '5',
    'x-holdfast-error-class': 'throttled',
    'x-holdfast-error-code': 'rate_limit_exceeded',
    'x-holdfast-error-http-status': '429',
  });
  const waitsMs = Number(headers['x-holdfast-not-before']) - Date.parse(headers.ce_time!);
  expect(waitsMs).toBeGreaterThanOrEqual(retryAfterMs - 1_000);
  expect(Buffer.byteLength(headers['x-holdfast-error-message']!)).toBeLessThanOrEqual(1_024);
});

it('the dead letter has all that triage needs', async () => {
  const { run } = await flow.runs.view(runId);
  const { rows } = await flow.database.query<{ worker: string }>(
    `SELECT worker FROM processor.attempts WHERE run_id = $1 ORDER BY fence DESC LIMIT 1`,
    [uuidOf(runId as RunId)],
  );
  expect(headersOf(letter)).toMatchObject({
    'x-holdfast-dispatch': '2',
    'x-holdfast-attempt': '1',
    'x-holdfast-max-attempts': '5',
    'x-holdfast-error-class': 'invalid_request',
    'x-holdfast-error-code': 'invalid_value',
    'x-holdfast-error-http-status': '400',
    'x-holdfast-error-request-id': run.failure?.requestId,
    'x-holdfast-error-fingerprint': run.failure?.fingerprint,
    'x-holdfast-error-message': run.failure?.message,
    'x-holdfast-worker': rows[0]?.worker,
    'kafka_dlt-exception-fqcn': 'holdfast.invalid_request',
    'kafka_dlt-exception-message': run.failure?.message,
  });
});

it('none of them holds a word of the prompt', () => {
  const said = [request, retry, letter].map((each) => [headersOf(each), String(each.value)]);
  expect(JSON.stringify(said)).not.toMatch(/heron|clause 17/);
});
