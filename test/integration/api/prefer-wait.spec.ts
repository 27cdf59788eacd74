/** Real: api, Postgres, Kafka. Stands in: the processor, whose events the spec writes. */
import { randomUUID } from 'node:crypto';
import { ContentStore } from '#libs/content';
import type { RunView } from '#libs/contracts';
import { FollowRunsStore } from '../../../apps/api/src/follow-runs/follow-runs.store.js';
import { WatchHub } from '../../../apps/api/src/follow-runs/watch-hub.js';
import { ProjectRuns } from '../../../apps/api/src/project-runs/project-runs.js';
import { quickestOf } from '../../support/quickest-of.js';
import { startTestApi, type TestApi } from './api-fixture.js';
import { eventMessage, failure, received, result, storyOf } from './run-story.js';

let api: TestApi;
let projection: ProjectRuns;
beforeAll(async () => {
  api = await startTestApi();
  projection = api.app.get(ProjectRuns);
});
afterAll(() => api?.stop());

const question = { workflow: 'answer', input: { question: 'Why?' } };
const usage = {
  calls: 1,
  inputTokens: 1,
  cachedInputTokens: 0,
  outputTokens: 1,
  reasoningTokens: 0,
};

/** Node's fetch: an answer that is held must not hold the spec's other requests. */
const submit = (key: string, prefer?: string, signal?: AbortSignal) =>
  fetch(`${api.url}/v1/runs`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      'Idempotency-Key': key,
      ...(prefer !== undefined && { Prefer: prefer }),
    },
    body: JSON.stringify(question),
    signal: signal ?? null,
  });
const find = (id: string, prefer: string, more: Record<string, string> = {}) =>
  fetch(`${api.url}/v1/runs/${id}`, { headers: { Prefer: prefer, ...more } });
const viewOf = async (answer: Response) => (await answer.json()) as RunView;

async function acceptedRun(): Promise<{ id: string; uuid: string; key: string }> {
  const key = randomUUID();
  const { id } = await viewOf(await submit(key));
  return { id, uuid: id.slice('run_'.length), key };
}

/** The run that a submit under this key made, as soon as it is there. */
async function runUnder(key: string): Promise<string> {
  for (;;) {
    const { rows } = await api.database.query<{ id: string }>(
      'SELECT id FROM api.runs WHERE idempotency_key = $1',
      [key],
    );
    if (rows[0]) return rows[0].id;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function tell(messages: ReturnType<typeof storyOf>): Promise<void> {
  for (const message of messages) await projection.take(received(message));
}

describe('a caller who prefers to wait', () => {
  it('is answered with view and result as soon as the run it asked for is completed', async () => {
    const key = randomUUID();
    const held = submit(key, 'wait=20');
    const uuid = await runUnder(key);
    await tell(storyOf(uuid));
    const answer = await held;
    expect(answer.status).toBe(200);
    expect(answer.headers.get('preference-applied')).toBe('wait=20');
    expect(answer.headers.get('location')).toBe(`/v1/runs/run_${uuid}`);
    expect(await viewOf(answer)).toMatchObject({ status: 'completed', version: 7, result });
  });

  it('is answered within half a second of the end of the run', async () => {
    const delayMs = await quickestOf(3, 500, async () => {
      const key = randomUUID();
      const held = submit(key, 'wait=20');
      await tell(storyOf(await runUnder(key)));
      const toldAt = performance.now();
      expect((await held).status).toBe(200);
      return performance.now() - toldAt;
    });
    expect(delayMs).toBeLessThan(500);
  });

  it('is told 202 when the time is up first, and may wait again at the address of the run', async () => {
    const first = await submit(randomUUID(), 'wait=1');
    expect(first.status).toBe(202);
    expect(first.headers.get('preference-applied')).toBe('wait=1');
    const { id, status } = await viewOf(first);
    expect(status).toBe('queued');
    const held = find(id, 'wait=20');
    await tell(storyOf(id.slice('run_'.length)));
    const answer = await held;
    expect(answer.status).toBe(200);
    expect(await viewOf(answer)).toMatchObject({ status: 'completed', result });
  });

  it('sees how far the run has come when the time is up', async () => {
    const { id, uuid } = await acceptedRun();
    const held = find(id, 'wait=3');
    await tell(storyOf(uuid).slice(0, 4));
    const answer = await held;
    expect(answer.status).toBe(202);
    expect(await viewOf(answer)).toMatchObject({ status: 'retrying', version: 4 });
  });

  it('is answered the same way when it repeats its submit, before and after the end', async () => {
    const { uuid, key } = await acceptedRun();
    const held = submit(key, 'wait=20');
    await tell(storyOf(uuid));
    for (const answer of [await held, await submit(key, 'wait=20')]) {
      expect(answer.status).toBe(200);
      expect(answer.headers.get('idempotency-replayed')).toBe('true');
      expect(await viewOf(answer)).toMatchObject({ status: 'completed', result });
    }
    expect((await submit(key)).status).toBe(202); // without the preference: as ever
  });

  it.each([
    ['RunFailed', 'failed', { failure, usage, durationMs: 1 }],
    ['RunNeedsReview', 'needs_review', { failure, usage }],
  ] as const)('is answered 200 by %s too, without a result', async (name, status, fields) => {
    const { id, uuid } = await acceptedRun();
    const held = find(id, 'wait=20');
    const occurredAt = new Date().toISOString();
    await tell([eventMessage(uuid, name, { version: 1, status, occurredAt, ...fields })]);
    const answer = await held;
    expect(answer.status).toBe(200);
    const view = await viewOf(answer);
    expect(view).toMatchObject({ status });
    expect(view).not.toHaveProperty('result');
  });

  it('finds a large result by its link', async () => {
    const { id, uuid } = await acceptedRun();
    const bytes = Buffer.from(JSON.stringify({ answer: 'x'.repeat(300_000) }));
    const contents = api.app.get(ContentStore);
    const { ref } = await contents.put('default', bytes, { mediaType: 'application/json' });
    const occurredAt = new Date().toISOString();
    const ended = { version: 1, status: 'completed', occurredAt, resultRef: ref } as const;
    await tell([eventMessage(uuid, 'RunCompleted', { ...ended, usage, durationMs: 1 })]);
    const view = await viewOf(await find(id, 'wait=5'));
    expect(view).not.toHaveProperty('result');
    expect(view.links.result).toBe(`/v1/runs/${id}/result`);
  });

  it('is not sent what it knows, and has another tag for a view with the result in it', async () => {
    const { id, uuid } = await acceptedRun();
    await tell(storyOf(uuid));
    const plain = await find(id, 'respond-async');
    const waited = await find(id, 'wait=5', { 'If-None-Match': plain.headers.get('etag') ?? '' });
    expect(waited.status).toBe(200);
    const again = await find(id, 'wait=5', { 'If-None-Match': waited.headers.get('etag') ?? '' });
    expect(again.status).toBe(304);
    expect(await viewOf(plain)).not.toHaveProperty('result');
    expect(plain.headers.get('preference-applied')).toBeNull();
  });

  it('costs no read of the run while nothing settles it', async () => {
    const reads = countReads();
    const { id, uuid } = await acceptedRun();
    const held = find(id, 'wait=20');
    await tell(storyOf(uuid).slice(0, 6));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(reads.count).toBe(0);
    await tell(storyOf(uuid).slice(6));
    await held;
    expect(reads.count).toBe(1);
    reads.restore();
  });

  it('leaves nothing behind when it goes away', async () => {
    const { key } = await acceptedRun();
    const before = watchers();
    const leaving = new AbortController();
    const held = submit(key, 'wait=60', leaving.signal).catch(() => 'gone');
    while (watchers() === before) await new Promise((resolve) => setTimeout(resolve, 5));
    leaving.abort();
    expect(await held).toBe('gone');
    while (watchers() > before) await new Promise((resolve) => setTimeout(resolve, 5));
  });
});

it('an api that drains answers those who wait with what is known', async () => {
  const draining = await startTestApi();
  const answers = ['wait=60', 'wait=59'].map((prefer) =>
    fetch(`${draining.url}/v1/runs`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        'Idempotency-Key': randomUUID(),
        Prefer: prefer,
      },
      body: JSON.stringify(question),
    }),
  );
  while (watchers(draining) < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  const [held] = await Promise.all([Promise.all(answers), draining.stop()]);
  expect(held.map(({ status }) => status)).toEqual([202, 202]);
  expect(await Promise.all(held.map(viewOf))).toMatchObject([
    { status: 'queued' },
    { status: 'queued' },
  ]);
});

/** How many wait in the hub. */
function watchers(of = api): number {
  return of.app.get(WatchHub).watchers;
}

/** Counts how often a single run is read for a wait. */
function countReads() {
  const store = api.app.get(FollowRunsStore);
  const reads = { count: 0, restore: () => Reflect.deleteProperty(store, 'findResult') };
  const original = store.findResult.bind(store);
  store.findResult = (tenant, runUuid) => {
    reads.count += 1;
    return original(tenant, runUuid);
  };
  return reads;
}
