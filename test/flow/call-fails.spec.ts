/**
 * A model call that does not succeed: throttled, and refused for good. Real: api, processor, Postgres, Kafka, an outside consumer
 * on every topic. Stands in: the simulator for OpenAI, told to answer 429 and 400.
 */
import { topics } from '#libs/contracts';
import { openFlow, type Flow } from '../support/flow.js';
import { storyOf } from '../support/run-story.js';
import { headersOf } from '../support/topic-watch.js';

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow();
});
afterAll(async () => flow?.close());

const retryAfterMs = 6_000;

it('throttled for over 5 s: it shows retrying and when, is not called before that, completes, and has used no attempt', async () => {
  const { runs, simulator, watch } = flow;
  const question = 'When is the site visit?';
  await simulator.script({
    match: { inputIncludes: question },
    fault: {
      kind: 'status',
      status: 429,
      code: 'rate_limit_exceeded',
      message: 'Rate limit reached. Please try again in 6s.',
      headers: { 'retry-after': String(retryAfterMs / 1_000) },
    },
  });
  const { id } = await runs.ask(question);
  await runs.streamUntil(id, 'retry', ({ status }) => status === 'retrying');

  const seenAt = Date.now();
  const { run: waiting } = await runs.view(id);
  expect(waiting).toMatchObject({
    ...{ status: 'retrying', attempt: 1, maxAttempts: 5, endedAt: null },
    waiting: { reason: 'throttled', until: waiting.nextAttemptAt },
    failure: { class: 'throttled', code: 'rate_limit_exceeded', httpStatus: 429 },
  });
  expect(waiting.message).toMatch(
    /^Retrying: the AI service is busy\. Attempt 1 of 5, next try in about \d+ s\. You need not do anything\.$/,
  );
  const dueAt = Date.parse(waiting.nextAttemptAt ?? '');
  expect(dueAt).toBeGreaterThan(seenAt);

  const told = await runs.completion(id);
  const names = told.map(({ type }) => type.split('.').at(-2));
  expect(names.filter((name) => name !== 'progressed')).toEqual([
    ...['started', 'retry-scheduled', 'started', 'completed'],
  ]);
  const [first, second, ...more] = (await simulator.callsOf(id)).map(({ at }) => Date.parse(at));
  expect(more).toEqual([]);
  expect(second! - first!).toBeGreaterThanOrEqual(retryAfterMs);
  expect(second).toBeGreaterThanOrEqual(dueAt);
  expect(second! - dueAt).toBeLessThan(8_000); // R9: due retries go on within 8 s

  const { run: done } = await runs.view(id);
  expect(done).toMatchObject({ attempt: 1, nextAttemptAt: null, waiting: null, failure: null });
  expect(Object.values(await simulator.chargesOf(id))).toEqual([1]);
  await flow.published();
  expect((await storyOf(watch, id)).at(-1)?.name).toBe('RunCompleted');
  const [retry, ...others] = watch.of(`${topics.runRequested}.retry.5s`, id).map(headersOf);
  expect(others).toEqual([]);
  expect(retry).toMatchObject({
    'x-holdfast-dispatch': '2',
    'x-holdfast-hop': '0',
    'x-holdfast-attempt': '1',
    'x-holdfast-not-before': String(dueAt),
    'x-holdfast-error-class': 'throttled',
  });
});

it('refused as invalid: it needs review, and is in the dead letters with all that support needs and not a word of the prompt', async () => {
  const { runs, simulator, watch } = flow;
  const secret = 'Does clause 17 bind the wandering heron consortium of Larkmoor?';
  const message = `Invalid value for 'input': '${secret}' is not supported here.`;
  await simulator.script({
    match: { inputIncludes: secret },
    fault: { kind: 'status', status: 400, code: 'invalid_value', message },
  });
  const { id } = await runs.ask(secret);
  const isStopped = ({ status }: { status: string }) => status === 'needs_review';
  const told = await runs.streamUntil(id, 'stop', isStopped);
  await flow.published();

  const { run } = await runs.view(id);
  expect(run).toMatchObject({
    ...{ status: 'needs_review', nextAttemptAt: null, endedAt: null },
    message: expect.stringMatching(
      /^Needs review: the AI service refused the request as Holdfast wrote it\. ./,
    ) as string,
    failure: {
      ...{ class: 'invalid_request', code: 'invalid_value', httpStatus: 400, step: 'ask' },
      requestId: expect.stringMatching(/^req_[0-9a-f]+$/) as string,
      fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
    },
  });
  expect(await simulator.callsOf(id)).toHaveLength(1); // permanent: never tried again
  expect(await simulator.chargesOf(id)).toEqual({});

  const [request] = watch.of(topics.runRequested, id);
  const letters = watch.of(topics.runRequestedDeadLetters, id);
  expect(letters).toHaveLength(1);
  const [letter] = letters;
  expect(headersOf(letter!)).toMatchObject({
    ce_type: 'dev.holdfast.run.requested.v1',
    ce_subject: id,
    'x-holdfast-attempt': '1',
    'x-holdfast-dispatch': '1',
    'x-holdfast-error-class': 'invalid_request',
    'x-holdfast-error-code': 'invalid_value',
    'x-holdfast-error-http-status': '400',
    'x-holdfast-error-request-id': run.failure?.requestId,
    'x-holdfast-original-topic': topics.runRequested,
    'x-holdfast-original-partition': String(request?.partition),
    'x-holdfast-original-offset': request?.offset,
    'kafka_dlt-original-topic': topics.runRequested,
    'kafka_dlt-original-partition': String(request?.partition),
    'kafka_dlt-original-offset': request?.offset,
    'kafka_dlt-exception-fqcn': 'holdfast.invalid_request',
    'kafka_dlt-exception-message': run.failure?.message,
  });
  expect(letter?.partition).toBe(request?.partition);
  expect(JSON.parse(letter?.value?.toString() ?? '')).toMatchObject({ runId: id }); // redriving it carries the whole request

  const story = await storyOf(watch, id);
  expect(story.at(-1)).toMatchObject({ name: 'RunNeedsReview', data: { failure: run.failure } });
  const published = JSON.stringify([
    ...story,
    ...letters.map((each) => [headersOf(each), String(each.value)]),
  ]);
  const shown = JSON.stringify([run, told]);
  const logged = [...flow.scene.processors, flow.scene.api].map((app) => app.output()).join('\n');
  for (const text of [published, shown, logged]) expect(text).not.toMatch(/heron|clause 17/);
});
