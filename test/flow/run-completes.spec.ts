/**
 * The main job, healthy. Real: api, processor and simulator as processes of their own, Postgres, Kafka, an outside consumer on
 * the events topic. Stands in: the simulator for OpenAI.
 */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { topics, type ProblemBody, type RunView } from '#libs/contracts';
import type { TenderComplianceResult } from '#libs/workflows';
import { repositoryRoot } from '../../dev/stack/repository.js';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { storyOf } from '../support/run-story.js';
import { headersOf } from '../support/topic-watch.js';

const sections = 12;
const slots = 4;

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow({ env: { PROCESSOR_RUN_SLOTS: String(slots) } });
});
afterAll(async () => flow?.close());

it('a tender becomes a matrix: states over SSE, one RunCompleted on the topic, one charge per section', async () => {
  const { runs, simulator, watch } = flow;
  const file = 'larkmoor-patient-booking.md';
  const text = await readFile(join(repositoryRoot, 'dev/samples', file), 'utf8');
  const document = await runs.upload(text, file);
  const body = {
    ...{ workflow: 'tender-compliance', input: {}, documents: [document.id] },
    ...{ reference: 'tender 4711', labels: { desk: 'north' } },
  };
  const key = randomUUID();
  const submitted = await runs.submit(body, key);
  const run = submitted.body as RunView;
  expect(submitted).toMatchObject({ status: 202, replayed: false, location: `/v1/runs/${run.id}` });
  expect(run).toMatchObject({ status: 'queued', version: 0, attempt: 1 });

  const told = await runs.completion(run.id);
  expect(told.map(({ version }) => version)).toEqual(told.map((_, index) => index + 1));
  const states = [run.status, ...told.map(({ status }) => status)];
  expect(states.filter((state, index) => state !== states[index - 1])).toEqual([
    'queued',
    'running',
    'completed',
  ]);

  const again = await runs.submit(body, key);
  expect(again).toMatchObject({ status: 202, replayed: true, body: { id: run.id } });
  expect((again.body as RunView).status).toBe('completed');

  const matrix = await runs.result<TenderComplianceResult>(run.id);
  expect(matrix.requirements.length).toBeGreaterThanOrEqual(30);
  const { run: view } = await runs.view(run.id);
  expect(view).toMatchObject({ reference: 'tender 4711', labels: { desk: 'north' } });
  expect(view).toMatchObject({ attempt: 1, failure: null, usage: { calls: sections } });

  await flow.published();
  const story = await storyOf(watch, run.id);
  expect(watch.of(topics.runEvents, run.id)).toHaveLength(story.length); // healthy: not one repeat
  expect(story.map(({ id }) => id)).toEqual(told.map(({ id }) => id));
  expect(story.at(-1)).toMatchObject({
    name: 'RunCompleted',
    data: { reference: 'tender 4711', labels: { desk: 'north' }, usage: { calls: sections } },
  });
  expect(watch.of(topics.runRequested, run.id)).toHaveLength(1);
  expect(Object.values(await simulator.chargesOf(run.id))).toEqual(Array(sections).fill(1));
});

it('what it tells and what it asked for carry the trace of the request', async () => {
  const { runs, watch } = flow;
  const run = await runs.ask('What is a performance bond?');
  await runs.completion(run.id);
  await flow.published();
  const [requested] = watch.of(topics.runRequested, run.id).map(headersOf);
  expect(requested).toMatchObject({
    ce_subject: run.id,
    ce_type: 'dev.holdfast.run.requested.v1',
    'content-type': 'application/json',
    'x-holdfast-dispatch': '1',
    traceparent: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-\d\d$/) as string,
  });
  for (const event of watch.of(topics.runEvents, run.id).map(headersOf))
    expect(event).toMatchObject({ ce_subject: run.id, traceparent: requested?.traceparent });
});

it('the same key from 50 clients at once is one run, asked for once and paid once; with another body it is 422', async () => {
  const { runs, simulator, watch } = flow;
  const key = randomUUID();
  const body = { workflow: 'answer', input: { question: 'Who must sign the tender form?' } };
  const answers = await Promise.all(Array.from({ length: 50 }, () => runs.submit(body, key)));
  expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(202));
  const ids = new Set(answers.map(({ body }) => (body as RunView).id));
  expect(ids.size).toBe(1);
  expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);

  const [id = ''] = ids;
  const refused = await runs.submit({ ...body, input: { question: 'Something else?' } }, key);
  expect(refused).toMatchObject({ status: 422, replayed: false });
  expect(refused.contentType).toContain('application/problem+json');
  expect(refused.body as ProblemBody).toMatchObject({
    ...{ status: 422, code: 'idempotency_key_reused', retryable: false },
    errors: [{ header: 'Idempotency-Key' }],
  });

  await runs.completion(id);
  await flow.published();
  const asked = watch.seen.filter(
    ({ topic, value }) => topic === topics.runRequested && value?.toString().includes(id),
  );
  expect(asked).toHaveLength(1);
  expect(Object.values(await simulator.chargesOf(id))).toEqual([1]);
  const { rows } = await flow.database.query(`SELECT FROM api.runs WHERE idempotency_key = $1`, [
    key,
  ]);
  expect(rows).toHaveLength(1);
});

it('a run that finds no free worker stands there as queued, and is carried out in its turn', async () => {
  const { runs, simulator } = flow;
  const slow = 'How long does the evaluation take?';
  await simulator.script({
    match: { inputIncludes: slow },
    fault: { kind: 'latency', ms: 600_000 },
    times: 'always',
  });
  const ahead = await Promise.all(Array.from({ length: slots }, () => runs.ask(slow)));
  const isStarted = ({ status }: { status: string }) => status === 'running';
  await Promise.all(ahead.map(({ id }) => runs.streamUntil(id, 'start', isStarted)));

  const last = await runs.ask('And who is last?');
  const { run } = await runs.view(last.id);
  expect(run).toMatchObject({
    status: 'queued',
    message: 'Queued: waiting for its turn. It starts by itself.',
  });
  await eventually('those ahead are at the model', async () => {
    const calls = await Promise.all(ahead.map(({ id }) => simulator.callsOf(id)));
    return calls.every(([call]) => call?.responseId);
  });
  await simulator.finish();
  const [first] = await runs.completion(last.id);
  expect(first).toMatchObject({ type: 'dev.holdfast.run.started.v1', status: 'running' });
});
