/** Real: api, Postgres, Kafka. Stands in: the processor, whose events the spec writes. */
import { randomUUID } from 'node:crypto';
import type { ProblemBody, RunHistory, RunHistoryEntry, RunPage, RunView } from '#libs/contracts';
import { ContentStore } from '#libs/content';
import type { Message } from '#libs/messaging';
import { WatchHub } from '../../../apps/api/src/follow-runs/watch-hub.js';
import { ProjectRuns } from '../../../apps/api/src/project-runs/project-runs.js';
import { startTestApi, type TestApi } from './api-fixture.js';
import { openStream, take as takeFrames, type Frame } from './event-stream.js';
import { eventMessage, failure, received, result, storyOf } from './run-story.js';

let api: TestApi;
let projection: ProjectRuns;

beforeAll(async () => {
  api = await startTestApi();
  projection = api.app.get(ProjectRuns);
});
afterAll(() => api?.stop());

async function acceptedRun(body: object = {}): Promise<{ id: string; uuid: string; key: string }> {
  const key = randomUUID();
  const answer = await api
    .http()
    .post('/v1/runs')
    .set('Idempotency-Key', key)
    .send({ workflow: 'answer', input: { question: 'Why?' }, ...body })
    .expect(202);
  const { id } = answer.body as RunView;
  return { id, uuid: id.slice('run_'.length), key };
}

const take = async (messages: readonly Message[]) => {
  for (const message of messages) await projection.take(received(message));
};
const versionsOf = (frames: readonly Frame[]) => frames.map(({ id }) => Number(id));
const eventsUrl = (id: string) => `${api.url}/v1/runs/${id}/events`;

describe('a view', () => {
  it('is not sent again while it has not changed', async () => {
    const { id, uuid } = await acceptedRun();
    const first = await api.http().get(`/v1/runs/${id}`).expect(200);
    const etag = first.headers['etag'] ?? '';
    for (const known of [etag, `"x", ${etag}`, '*', etag.replace('W/', '')]) {
      const again = await api.http().get(`/v1/runs/${id}`).set('If-None-Match', known).expect(304);
      expect(again.text).toBe('');
    }
    await take(storyOf(uuid).slice(0, 1));
    const changed = await api.http().get(`/v1/runs/${id}`).set('If-None-Match', etag).expect(200);
    expect(changed.body).toMatchObject({ version: 1 });
  });

  it('says in words why a run retries, and when', async () => {
    const { id, uuid } = await acceptedRun();
    await take(storyOf(uuid).slice(0, 3));
    const nextAttemptAt = new Date(Date.now() + 39_000).toISOString();
    const waiting = { reason: 'throttled', until: nextAttemptAt };
    const retrying = {
      version: 4,
      status: 'retrying',
      attempt: 2,
      occurredAt: nextAttemptAt,
    } as const;
    await take([
      eventMessage(uuid, 'RunRetryScheduled', { ...retrying, nextAttemptAt, waiting, failure }),
    ]);
    const view = (await api.http().get(`/v1/runs/${id}`).expect(200)).body as RunView;
    expect(view.message).toMatch(
      /^Retrying: the AI service is busy\. Attempt 2 of 5, next try in about (39|38) s\. You need not do anything\.$/,
    );
    expect(view).toMatchObject({ nextAttemptAt, waiting, failure: { httpStatus: 429 } });
  });
});

describe('the list of runs', () => {
  it('finds the run of a lost answer by its key', async () => {
    const { id, key } = await acceptedRun();
    const page = await list({ idempotencyKey: key });
    expect(page.runs.map((run) => run.id)).toEqual([id]);
    expect((await list({ idempotencyKey: 'nobodys' })).runs).toEqual([]);
  });

  it('comes newest first, in pages that stay where they are while new runs come', async () => {
    const reference = randomUUID();
    const ids: string[] = [];
    for (let n = 0; n < 7; n++) ids.unshift((await acceptedRun({ reference })).id);
    const seen: string[] = [];
    let next: string | null = `/v1/runs?reference=${reference}&limit=3`;
    while (next !== null) {
      const answer = await api.http().get(next).expect(200);
      const page = answer.body as RunPage;
      seen.push(...page.runs.map((run) => run.id));
      expect(answer.headers['link']).toBe(page.next ? `<${page.next}>; rel="next"` : undefined);
      next = page.next;
      await acceptedRun({ reference });
    }
    expect(seen).toEqual(ids);
  });

  it('narrows by state and workflow together', async () => {
    const reference = randomUUID();
    const done = await acceptedRun({ reference });
    const queued = await acceptedRun({ reference });
    await take(storyOf(done.uuid));
    const found = async (query: Record<string, string>) =>
      (await list({ reference, ...query })).runs.map((run) => run.id);
    expect(await found({ status: 'completed' })).toEqual([done.id]);
    expect(await found({ status: 'queued,running' })).toEqual([queued.id]);
    expect(await found({ status: 'queued,completed', workflow: 'answer' })).toHaveLength(2);
    expect(await found({ workflow: 'tender-compliance' })).toEqual([]);
  });

  const list = async (query: Record<string, string>) =>
    (await api.http().get('/v1/runs').query(query).expect(200)).body as RunPage;
});

describe('a result', () => {
  it('is 409 with the present state until the run is completed', async () => {
    const { id } = await acceptedRun();
    const answer = await api.http().get(`/v1/runs/${id}/result`).expect(409);
    expect(answer.body).toMatchObject({
      code: 'run_not_completed',
      status: 409,
      retryable: true,
      detail: 'Queued: waiting for its turn. It starts by itself.',
      run: { id, status: 'queued' },
    });
  });

  it('never comes for a run that failed', async () => {
    const { id, uuid } = await acceptedRun();
    const usage = {
      calls: 0,
      inputTokens: 0,
      cachedInputTokens: 0,
      outputTokens: 0,
      reasoningTokens: 0,
    };
    const occurredAt = new Date().toISOString();
    const failed = {
      version: 1,
      status: 'failed',
      occurredAt,
      failure,
      usage,
      durationMs: 1,
    } as const;
    await take([eventMessage(uuid, 'RunFailed', failed)]);
    const answer = await api.http().get(`/v1/runs/${id}/result`).expect(409);
    expect(answer.body as ProblemBody).toMatchObject({
      code: 'run_without_result',
      retryable: false,
    });
  });

  it('comes from the event where it was small, with every character', async () => {
    const { id, uuid } = await acceptedRun();
    await take(storyOf(uuid));
    const answer = await api.http().get(`/v1/runs/${id}/result`).expect(200);
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    expect(answer.body).toEqual(result);
  });

  it('comes from the content store where it was large', async () => {
    const { id, uuid } = await acceptedRun();
    const large = { answer: 'x'.repeat(300_000) };
    const { ref } = await api.app
      .get(ContentStore)
      .put('default', Buffer.from(JSON.stringify(large)), { mediaType: 'application/json' });
    const usage = {
      calls: 1,
      inputTokens: 1,
      cachedInputTokens: 0,
      outputTokens: 1,
      reasoningTokens: 0,
    };
    const occurredAt = new Date().toISOString();
    const completed = {
      version: 1,
      status: 'completed',
      occurredAt,
      resultRef: ref,
      usage,
    } as const;
    await take([eventMessage(uuid, 'RunCompleted', { ...completed, durationMs: 1 })]);
    const answer = await api.http().get(`/v1/runs/${id}/result`).expect(200);
    expect(answer.body).toEqual(large);
  });
});

describe("a run's history", () => {
  it('is told as JSON, each fact in words of its moment', async () => {
    const { id, uuid } = await acceptedRun();
    const story = storyOf(uuid);
    await take(story);
    const { events } = (await api.http().get(`/v1/runs/${id}/events`).expect(200))
      .body as RunHistory;
    expect(events.map((event) => event.id)).toEqual(story.map((message) => message.id));
    expect(events[3]).toMatchObject({
      type: 'dev.holdfast.run.retry-scheduled.v1',
      version: 4,
      status: 'retrying',
      message:
        'Retrying: the AI service is busy. Attempt 2 of 5, next try in about 37 s. You need not do anything.',
      data: { runId: id, failure: { message: 'Rate limit\u0000 reached' } },
    });
  });

  it('streams what has happened, then what happens, and ends with the run', async () => {
    const { id, uuid } = await acceptedRun();
    const story = storyOf(uuid);
    await take(story.slice(0, 2));
    const stream = await openStream(eventsUrl(id));
    expect(stream).toMatchObject({ status: 200, contentType: 'text/event-stream; charset=utf-8' });
    const frames = takeFrames(stream);
    await take(story.slice(2));
    expect(versionsOf(await frames)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const events = (await frames).map(({ event }) => event);
    expect(events.slice(2, 4)).toEqual(['run.progressed', 'run.retry-scheduled']);
    const last = JSON.parse((await frames).at(-1)?.data ?? '') as RunHistoryEntry;
    expect(last).toMatchObject({ status: 'completed', message: 'Completed.', data: { result } });
  });

  it('resumes after the last event that arrived: no gap, no repeat, wherever streams break', async () => {
    const { id, uuid } = await acceptedRun();
    const story = storyOf(uuid);
    const followers = Array.from({ length: 20 }, async (_, follower) => {
      const seen: Frame[] = [];
      while (seen.length < story.length) {
        const stream = await openStream(eventsUrl(id), seen.at(-1)?.id);
        seen.push(...(await takeFrames(stream, 1 + ((follower + seen.length) % 3))));
      }
      return versionsOf(seen);
    });
    for (const message of story) {
      await take([message]);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
    for (const versions of await Promise.all(followers))
      expect(versions).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('tells a client that has seen the end not to come back', async () => {
    const { id, uuid } = await acceptedRun();
    await take(storyOf(uuid));
    expect((await openStream(eventsUrl(id), '7')).status).toBe(204);
    expect(versionsOf(await takeFrames(await openStream(eventsUrl(id), '5')))).toEqual([6, 7]);
  });

  it('refuses an event id that is none', async () => {
    const { id } = await acceptedRun();
    const answer = await api
      .http()
      .get(`/v1/runs/${id}/events`)
      .set('Last-Event-ID', 'x')
      .expect(400);
    expect(answer.body).toMatchObject({
      code: 'invalid_header',
      errors: [{ header: 'Last-Event-ID' }],
    });
  });

  it('shows an event within a tenth of a second of its projection', async () => {
    const hub = api.app.get(WatchHub);
    Object.assign(hub, { everyMs: 3_600_000 }); // its own look is put off: what comes, comes by the hint
    const { id, uuid } = await acceptedRun();
    const { frames } = await openStream(eventsUrl(id));
    const following = frames[Symbol.asyncIterator]();
    const delaysMs: number[] = [];
    for (const message of storyOf(uuid)) {
      const seen = following.next().then(() => performance.now());
      await take([message]);
      const projectedAt = performance.now();
      delaysMs.push((await seen) - projectedAt);
    }
    expect(Math.min(...delaysMs)).toBeLessThan(100); // what a busy machine adds to one of them is not the api's
    Object.assign(hub, { everyMs: 200 });
  });
});
