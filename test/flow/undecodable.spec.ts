/**
 * What strangers put on the work topic. Real: api, processor, Postgres, Kafka. Stands in: the simulator for OpenAI.
 * Every kind of bad record lies on every partition, so whichever partition the good run takes, it stands behind all of them.
 */
import { REQUEST_UNREADABLE, RUN_REQUESTED, topics } from '#libs/contracts';
import { runIdOf } from '#libs/domain';
import { uuidv7 } from '#libs/postgres';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { storyOf } from '../support/run-story.js';
import { headerOf, headersOf, type NewRecord, type SeenRecord } from '../support/topic-watch.js';

const partitions = 12;
const secret = 'the price of our offer';

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow();
});
afterAll(async () => flow?.close());

it('a record that is no work goes to the dead letters with the reason and its place; a good run right behind completes', async () => {
  const { runs, watch, database } = flow;
  const whole = aRequest();
  const { ce_id: _id, ...noId } = whole.headers;
  const { 'x-holdfast-dispatch': _dispatch, ...noDispatch } = whole.headers;
  const kinds: readonly [code: string, reason: RegExp, record: Sent][] = [
    ['json_invalid', /not valid JSON/, { ...whole, value: Buffer.from(`{"${secret}"`) }],
    ['json_invalid', /not UTF-8/, { ...whole, value: Buffer.from([0x22, 0xff, 0x22]) }],
    ['value_missing', /no value/, { ...whole, value: null }],
    ['header_missing', /header ce_\w+ is missing/, { key: null, value: null, headers: {} }],
    ['header_missing', /header ce_id is missing/, { ...whole, headers: noId }],
    ['header_invalid', /x-holdfast-dispatch/, { ...whole, headers: noDispatch }],
    ['type_unknown', /requested\.v9/, aRequest({}, { ce_type: 'dev.holdfast.run.requested.v9' })],
    ['data_invalid', /^\/workflow:/, aRequest({ workflow: 7 })],
    ['key_mismatch', /the key of the record/, { ...whole, key: aRequest().key }],
  ];
  const onAll = Array.from({ length: partitions }, (_, partition) => partition);
  await watch.send(
    onAll.flatMap((partition) =>
      kinds.map(([, , record], kind) => ({
        ...{ topic: topics.runRequested, partition, ...record },
        headers: { ...record.headers, kind: String(kind) },
      })),
    ),
  );
  const run = await runs.ask('Is there a pre-bid meeting?');
  await runs.completion(run.id);
  await watch.settledByAll();
  await flow.published();

  const bad = watch.seen.filter(
    ({ topic, headers }) => topic === topics.runRequested && headers.kind,
  );
  expect(bad).toHaveLength(kinds.length * partitions);
  expect(deadLetters()).toHaveLength(bad.length);
  for (const record of bad) {
    const letter = letterOf(record);
    const [code, reason] = kinds[Number(headerOf(record, 'kind'))]!;
    expect(headersOf(letter)).toMatchObject({
      ce_type: 'dev.holdfast.run.dispatch-refused.v1',
      'x-holdfast-error-code': code,
      'x-holdfast-error-message': expect.stringMatching(reason) as string,
      'kafka_dlt-original-topic': record.topic,
      'kafka_dlt-original-partition': String(record.partition),
      'kafka_dlt-original-offset': record.offset,
      'kafka_dlt-exception-fqcn': `holdfast.${code}`,
    });
    expect(letter.key?.toString()).toBe(record.key?.toString() ?? placeOf(record));
    expect(JSON.stringify([headersOf(letter), String(letter.value)])).not.toContain(secret);
  }
  const { rows } = await database.query(`SELECT FROM processor.executions`);
  expect(rows).toHaveLength(1); // the good one
  expect(flow.scene.processors[0]?.output()).not.toContain(secret);
});

it('a run of a workflow that this build lacks waits for a person, and can be redriven from its dead letter', async () => {
  const { watch } = flow;
  const record = aRequest({ workflow: 'poetry' });
  const runId = record.key.toString();
  await watch.send([{ topic: topics.runRequested, partition: 0, ...record }]);
  const letter = await eventually('its dead letter', () =>
    deadLetters().find(({ key }) => key?.toString() === runId),
  );
  expect(headersOf(letter)).toMatchObject({
    ce_type: RUN_REQUESTED,
    'x-holdfast-error-code': 'workflow_unknown',
    'x-holdfast-error-message': expect.stringContaining('poetry version 1') as string,
    'kafka_dlt-original-topic': topics.runRequested,
    'kafka_dlt-original-partition': '0',
  });
  expect(JSON.parse(String(letter.value))).toMatchObject({ runId, workflow: 'poetry' });
  const story = await storyOf(watch, runId);
  expect(story.map(({ name }) => name)).toEqual(['RunNeedsReview']);
});

it('a run whose request is broken on its way waits for a person, and is carried out once it is redriven', async () => {
  const { runs, database } = flow;
  await database.query(
    `CREATE FUNCTION api.break_body() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.body := ''{''; RETURN NEW; END';
     CREATE TRIGGER break_body BEFORE INSERT ON api.outbox FOR EACH ROW EXECUTE FUNCTION api.break_body()`,
  );
  const { id } = await runs.ask('What can be read of this?');
  await runs.streamUntil(id, 'stop', ({ status }) => status === 'needs_review');
  expect((await runs.view(id)).run.failure).toMatchObject({
    code: REQUEST_UNREADABLE,
    message: expect.stringMatching(/not valid JSON/) as string,
  });
  await database.query('DROP TRIGGER break_body ON api.outbox');
  await runs.decide(id, 'redrive');
  await runs.completion(id);
  expect(Object.values(await flow.simulator.chargesOf(id))).toEqual([1]);
});

type Sent = Omit<NewRecord, 'topic' | 'partition'>;

/** A good request of a run that nobody knows, but for what is given. */
function aRequest(fields: object = {}, headers: Readonly<Record<string, string>> = {}) {
  const runId = runIdOf(uuidv7());
  const data = {
    ...{ runId, tenant: 'default', workflow: 'answer', workflowVersion: 1, inputRef: 'cnt_x' },
    ...{ documents: [], priority: 'interactive', deadlineAt: null, reference: secret, labels: {} },
    ...fields,
  };
  return {
    key: Buffer.from(runId),
    value: Buffer.from(JSON.stringify(data)),
    headers: {
      ...{ ce_id: uuidv7(), ce_source: '/stranger', ce_type: RUN_REQUESTED, ce_subject: runId },
      ...{ ce_time: new Date().toISOString(), ce_specversion: '1.0' },
      'content-type': 'application/json',
      'x-holdfast-dispatch': '1',
      ...headers,
    },
  };
}

function deadLetters(): SeenRecord[] {
  return flow.watch.seen.filter(({ topic }) => topic === topics.runRequestedDeadLetters);
}

/** The one dead letter that names this record as its original. */
function letterOf(record: SeenRecord): SeenRecord {
  const letters = deadLetters().filter((letter) => {
    const place = ['topic', 'partition', 'offset'].map((part) =>
      headerOf(letter, `x-holdfast-original-${part}`),
    );
    return place.join('/') === placeOf(record);
  });
  expect(letters).toHaveLength(1);
  return letters[0]!;
}

function placeOf({ topic, partition, offset }: SeenRecord): string {
  return `${topic}/${partition}/${offset}`;
}
