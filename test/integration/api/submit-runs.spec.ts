/** Real: api, Postgres, Kafka. Stands in: nothing; no processor runs, so runs stay queued. */
import { randomUUID } from 'node:crypto';
import { jest } from '@jest/globals';
import { ContentStore } from '#libs/content';
import { parseRunRequested, topics, type RunRequested, type RunView } from '#libs/contracts';
import { Consumer, OutboxRelay, silentLog, type ReceivedMessage } from '#libs/messaging';
import { kafkaConnectionFor, startTestApi, type TestApi } from './api-fixture.js';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api?.stop());

const question = { workflow: 'answer', input: { question: 'Why is the sky blue?' } };

function submit(key: string, body: object = question) {
  return api.http().post('/v1/runs').set('Idempotency-Key', key).send(body);
}

async function runsUnder(key: string): Promise<number> {
  const { rows } = await api.database.query<{ count: bigint }>(
    'SELECT count(*) FROM api.runs WHERE idempotency_key = $1',
    [key],
  );
  return Number(rows[0]?.count);
}

/** Rows ever written to the outbox. */
async function requestsWritten(): Promise<bigint> {
  const { rows } = await api.database.query<{ written: bigint }>(
    'SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS written FROM api.outbox_order',
  );
  return rows[0]?.written ?? 0n;
}

describe('submitting a run', () => {
  it('wakes the relay once its request is committed: nobody waits for the next poll', async () => {
    const hint = jest.spyOn(api.app.get(OutboxRelay), 'hint');
    await submit(randomUUID()).expect(202);
    expect(hint).toHaveBeenCalledTimes(1);
    hint.mockRestore();
  });

  it('answers 202 with where the run is and how it stands', async () => {
    const body = { ...question, reference: 'tender 7', labels: { team: 'bids' }, deadline: 'PT2H' };
    const answer = await submit(randomUUID(), body).expect(202);
    const view = answer.body as RunView;
    expect(answer.headers['location']).toBe(`/v1/runs/${view.id}`);
    expect(answer.headers['idempotency-replayed']).toBeUndefined();
    expect(view).toMatchObject({
      tenant: 'default',
      workflow: 'answer',
      status: 'queued',
      version: 0,
      attempt: 1,
      reference: 'tender 7',
      labels: { team: 'bids' },
      priority: 'interactive',
      message: 'Queued: waiting for its turn. It starts by itself.',
    });
    expect(Date.parse(view.deadlineAt ?? '') - Date.parse(view.createdAt)).toBe(7_200_000);
    const found = await api.http().get(`/v1/runs/${view.id}`).expect(200);
    expect(found.body).toEqual(view);
  });

  it('puts the request on Kafka, complete and once', async () => {
    const answer = await submit(randomUUID()).set(
      'traceparent',
      '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    );
    const { id } = answer.body as RunView;
    const message = await requestOf(id);
    const parsed = parseRunRequested(message);
    expect(parsed).toMatchObject({
      kind: 'parsed',
      value: {
        runId: id,
        tenant: 'default',
        workflow: 'answer',
        documents: [],
        priority: 'interactive',
      },
    });
    expect(message.key).toBe(id);
    expect(message.headers['x-holdfast-dispatch']).toBe('1');
    const { inputRef } = message.data as RunRequested;
    const input = await api.app.get(ContentStore).get('default', inputRef);
    expect(JSON.parse(Buffer.from(input.bytes).toString())).toEqual(question.input);
    expect(message.traceparent).toContain('0af7651916cd43dd8448eb211c80319c');
  });

  it('answers a repeat with the first run, whatever the spelling of the body', async () => {
    const key = randomUUID();
    const first = await submit(key);
    const again = await api
      .http()
      .post('/v1/runs')
      .set('Idempotency-Key', key)
      .set('Content-Type', 'application/json')
      .send('{ "input": {"question":"Why is the sky blu\\u0065?"},\n "workflow": "answer" }')
      .expect(202);
    expect(again.body).toEqual(first.body);
    expect(again.headers['idempotency-replayed']).toBe('true');
    expect(again.headers['location']).toBe(first.headers['location']);
    expect(await runsUnder(key)).toBe(1);
  });

  it('answers a repeat with the first run after it has failed', async () => {
    const key = randomUUID();
    const first = await submit(key);
    await api.database.query(
      `UPDATE api.runs SET status = 'failed', ended_at = now() WHERE idempotency_key = $1`,
      [key],
    );
    const again = await submit(key).expect(202);
    expect(again.body).toMatchObject({ id: (first.body as RunView).id, status: 'failed' });
    expect(again.headers['idempotency-replayed']).toBe('true');
  });

  it('refuses another body under the same key, before any default is filled in', async () => {
    const key = randomUUID();
    await submit(key);
    const other = await submit(key, { ...question, priority: 'interactive' }).expect(422);
    expect(other.body).toMatchObject({
      code: 'idempotency_key_reused',
      status: 422,
      errors: [{ header: 'Idempotency-Key' }],
    });
    expect(await runsUnder(key)).toBe(1);
  });

  it('makes one run of 50 submits at once, and one row in the outbox', async () => {
    const key = randomUUID();
    const before = await requestsWritten();
    const answers = await Promise.all(Array.from({ length: 50 }, () => submit(key)));
    expect(await requestsWritten()).toBe(before + 1n);
    const ids = new Set(answers.map((answer) => (answer.body as RunView).id));
    expect(answers.map((answer) => answer.status)).toEqual(Array(50).fill(202));
    expect(ids.size).toBe(1);
    expect(
      answers.filter((answer) => answer.headers['idempotency-replayed'] === undefined),
    ).toHaveLength(1);
    expect(await runsUnder(key)).toBe(1);
    expect(await requestsOf([...ids][0] ?? '')).toHaveLength(1);
  });

  it('lets one of 20 different bodies under one key win, and tells the others', async () => {
    const key = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => submit(key, { ...question, reference: `r${n}` })),
    );
    expect(answers.filter((answer) => answer.status === 202)).toHaveLength(1);
    expect(answers.filter((answer) => answer.status === 422)).toHaveLength(19);
    expect(await runsUnder(key)).toBe(1);
  });

  it('keeps U+0000 in an input, and makes 100 runs of 100 keys at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        submit(randomUUID(), { ...question, input: { question: `Why\u0000 ${n}?` } }),
      ),
    );
    expect(new Set(answers.map((answer) => (answer.body as RunView).id)).size).toBe(100);
  });
});

describe('uploading a document', () => {
  const upload = (bytes: Buffer, options: { filename: string; contentType?: string }) =>
    api.http().post('/v1/documents').attach('file', bytes, options);

  it('stores the same bytes once, and says so', async () => {
    const bytes = Buffer.from('# Tender\n\nThe supplier shall deliver.\n');
    const first = await upload(bytes, { filename: 'tender.md' }).expect(201);
    expect(first.body).toMatchObject({
      fileName: 'tender.md',
      mediaType: 'text/markdown',
      sizeBytes: bytes.length,
      alreadyStored: false,
    });
    expect((first.body as { id: string }).id).toMatch(/^doc_[A-Za-z0-9_-]{43}$/);
    const again = await upload(bytes, { filename: 'tender.md' }).expect(200);
    expect(again.body).toEqual({ ...(first.body as object), alreadyStored: true });
  });

  it('takes a large one as a stream, and a run takes it by its id', async () => {
    const bytes = Buffer.from('The supplier shall deliver. '.repeat(100_000));
    const document = await upload(bytes, { filename: 't.md' }).expect(201);
    const { id } = document.body as { id: string };
    const run = await submit(randomUUID(), {
      workflow: 'tender-compliance',
      input: {},
      documents: [id],
    }).expect(202);
    expect(run.body).toMatchObject({ documents: [id] });
  });
});

/** Waits for the run's request on the topic. */
async function requestOf(runId: string): Promise<ReceivedMessage> {
  const [message] = await requestsOf(runId);
  if (!message) throw new Error('no request came');
  return message;
}

/** All requests of the run, as they lie on the topic once a later run's request has come too. */
async function requestsOf(runId: string): Promise<ReceivedMessage[]> {
  const last = await submit(randomUUID());
  const lastId = (last.body as RunView).id;
  const seen: ReceivedMessage[] = [];
  const lastSeen = Promise.withResolvers<void>();
  const consumer = new Consumer({
    kafka: kafkaConnectionFor(api.settings),
    groupId: `spec.${randomUUID()}`,
    topics: [topics.runRequested],
    log: silentLog,
    onCrash: (error) => lastSeen.reject(error),
    handler: async (decoded) => {
      if (decoded.kind !== 'message') return;
      seen.push(decoded.message);
      if (seen.some(({ key }) => key === lastId) && seen.some(({ key }) => key === runId)) {
        lastSeen.resolve();
      }
    },
  });
  await consumer.start();
  await lastSeen.promise;
  await consumer.stop({ graceMs: 1_000 });
  return seen.filter(({ key }) => key === runId);
}
