/** Real: two replicas of the api on one Postgres and one Kafka. Stands in: the processor, whose events the spec writes. */
import { randomUUID } from 'node:crypto';
import type { ProblemBody, RunStreamEntry, RunView } from '#libs/contracts';
import type { Message } from '#libs/messaging';
import { ProjectRuns } from '../../../apps/api/src/project-runs/project-runs.js';
import { quickestOf } from '../../support/quickest-of.js';
import { startReplicaOf, startTestApi, type Replica, type TestApi } from './api-fixture.js';
import { openStream, take as takeFrames, type Frame } from './event-stream.js';
import { received, storyOf } from './run-story.js';

let api: TestApi;
let other: Replica;
beforeAll(async () => {
  api = await startTestApi();
  other = await startReplicaOf(api);
});
afterAll(async () => {
  await other?.stop();
  await api?.stop();
});

async function acceptedRuns(count: number): Promise<string[]> {
  const answers = Array.from({ length: count }, () =>
    api
      .http()
      .post('/v1/runs')
      .set('Idempotency-Key', randomUUID())
      .send({ workflow: 'answer', input: { question: 'Why?' } })
      .expect(202),
  );
  return (await Promise.all(answers)).map(({ body }) => (body as RunView).id);
}

const storyOfRun = (id: string) => storyOf(id.slice('run_'.length));
const tell = async (messages: readonly Message[], by: { app: TestApi['app'] } = api) => {
  for (const message of messages) await by.app.get(ProjectRuns).take(received(message));
};
const eventsUrl = (ids: readonly string[], at = api.url) => `${at}/v1/events?runs=${ids.join()}`;

/** Versions that came, by run, in the order in which they came. */
function versionsByRun(frames: readonly Frame[]): Record<string, number[]> {
  const seen: Record<string, number[]> = {};
  for (const { data } of frames) {
    const { runId, version } = JSON.parse(data) as RunStreamEntry;
    (seen[runId] ??= []).push(version);
  }
  return seen;
}
const whole = (ids: readonly string[]) =>
  Object.fromEntries(ids.map((id) => [id, [1, 2, 3, 4, 5, 6, 7]]));

describe('a stream of many runs', () => {
  it('tells what has happened to each, then what happens, and ends when all have ended', async () => {
    const ids = await acceptedRuns(3);
    const [first = '', ...rest] = ids;
    await tell(storyOfRun(first));
    const stream = await openStream(eventsUrl(ids));
    expect(stream).toMatchObject({ status: 200, contentType: 'text/event-stream; charset=utf-8' });
    const frames = takeFrames(stream);
    for (const id of rest) await tell(storyOfRun(id));
    expect(versionsByRun(await frames)).toEqual(whole(ids));
  });

  it('follows a hundred runs, each named once or twice', async () => {
    const ids = await acceptedRuns(100);
    const frames = takeFrames(await openStream(eventsUrl(ids)));
    await Promise.all(ids.map((id) => tell(storyOfRun(id))));
    const got = await frames;
    expect(versionsByRun(got)).toEqual(whole(ids));
    expect(Math.max(...got.map(({ id }) => id?.length ?? 0))).toBeLessThan(400);
    const [only = ''] = ids;
    const twice = takeFrames(await openStream(eventsUrl([only, only])));
    expect(versionsByRun(await twice)).toEqual(whole([only]));
  });

  it('resumes over all of them on any replica: no gap, no repeat, wherever streams break', async () => {
    const ids = await acceptedRuns(4);
    const all = ids.length * 7;
    const followers = Array.from({ length: 12 }, async (_, follower) => {
      const seen: Frame[] = [];
      while (seen.length < all) {
        const at = (follower + seen.length) % 2 === 0 ? api.url : other.url;
        const inSomeOrder = follower % 2 === 0 ? ids : ids.toReversed();
        const stream = await openStream(eventsUrl(inSomeOrder, at), seen.at(-1)?.id);
        seen.push(...(await takeFrames(stream, 1 + ((follower + seen.length) % 5))));
      }
      return versionsByRun(seen);
    });
    for (let version = 0; version < 7; version++) {
      for (const id of ids) {
        await tell(storyOfRun(id).slice(version, version + 1), version % 2 === 0 ? api : other);
        await new Promise((resolve) => setTimeout(resolve, 7));
      }
    }
    for (const versions of await Promise.all(followers)) expect(versions).toEqual(whole(ids));
  });

  it('tells a client that has seen all the ends not to come back', async () => {
    const ids = await acceptedRuns(2);
    for (const id of ids) await tell(storyOfRun(id));
    const frames = await takeFrames(await openStream(eventsUrl(ids)));
    expect((await openStream(eventsUrl(ids), frames.at(-1)?.id)).status).toBe(204);
    const rest = await takeFrames(await openStream(eventsUrl(ids), frames.at(-3)?.id));
    expect(rest).toEqual(frames.slice(-2));
  });
});

describe('with several replicas', () => {
  it('an event is seen within a second of its projection, whichever replica projects and is asked', async () => {
    for (const [projecting, asked] of [
      [api, other],
      [other, api],
    ] as const) {
      const delayMs = await quickestOf(3, 1_000, async () => {
        const [id = ''] = await acceptedRuns(1);
        const frames = takeFrames(await openStream(eventsUrl([id], asked.url)));
        const one = takeFrames(await openStream(`${asked.url}/v1/runs/${id}/events`));
        const waited = fetch(`${asked.url}/v1/runs/${id}`, { headers: { Prefer: 'wait=20' } });
        await new Promise((resolve) => setTimeout(resolve, 50));
        await tell(storyOfRun(id), projecting);
        const projectedAt = performance.now();
        expect(versionsByRun(await frames)).toEqual(whole([id]));
        expect(await one).toHaveLength(7);
        expect((await waited).status).toBe(200);
        return performance.now() - projectedAt;
      });
      expect(delayMs).toBeLessThan(1_000);
    }
  });

  it('what comes over Kafka reaches the clients of both, whoever holds its partition', async () => {
    const ids = await acceptedRuns(12);
    const streams = [api.url, other.url].map(async (at) =>
      takeFrames(await openStream(eventsUrl(ids, at))),
    );
    const applied = () => [api, other].map(({ app }) => app.get(ProjectRuns).counts.applied);
    const before = applied();
    await api.publish(ids.flatMap(storyOfRun));
    for (const frames of await Promise.all(streams)) {
      expect(versionsByRun(frames)).toEqual(whole(ids));
    }
    const shares = applied().map((count, replica) => count - (before[replica] ?? 0));
    expect(shares.reduce((sum, share) => sum + share)).toBe(12 * 7);
    expect(Math.min(...shares)).toBeGreaterThan(0);
  });
});

describe('a stream that cannot be', () => {
  const refused = async (query: string, status: number, headers: Record<string, string> = {}) => {
    const answer = api.http().get(`/v1/events${query}`).set({ Accept: 'text/event-stream' });
    return (await answer.set(headers).expect(status)).body as ProblemBody;
  };

  it('names the runs that do not exist, or are not of the one who asks', async () => {
    const [mine = ''] = await acceptedRuns(1);
    const unknown = `run_${randomUUID()}`;
    const foreign = randomUUID();
    await api.database.query(
      `INSERT INTO api.runs (tenant, id, workflow, workflow_version, documents, priority, labels, status, attempt,
                             max_attempts, created_at)
       VALUES ('someone else', $1, 'answer', 1, '[]', 'interactive', '{}', 'queued', 1, 5, now())`,
      [foreign],
    );
    const problem = await refused(`?runs=${mine},${unknown},run_${foreign}`, 404);
    expect(problem.code).toBe('run_not_found');
    for (const id of [unknown, `run_${foreign}`]) {
      expect(problem.detail).toContain(id);
      expect(problem.errors.map(({ message }) => message).join()).toContain(id);
    }
    expect(problem.detail).not.toContain(mine);
  });

  it.each([
    ['nothing', ''],
    ['an empty list', '?runs='],
    ['what is no id', '?runs=run_1'],
    ['a list given twice', `?runs=run_${randomUUID()}&runs=run_${randomUUID()}`],
    ['101 runs', `?runs=${Array.from({ length: 101 }, () => `run_${randomUUID()}`).join()}`],
  ])('is refused: %s', async (_, query) => {
    expect(await refused(query, 400)).toMatchObject({
      code: 'invalid_query',
      errors: [{ parameter: 'runs' }],
    });
  });

  it('is refused from a place in a stream of other runs, or from no place at all', async () => {
    const ids = await acceptedRuns(2);
    await tell(storyOfRun(ids[0] ?? '').slice(0, 1));
    const [frame] = await takeFrames(await openStream(eventsUrl(ids)), 1);
    for (const place of ['7', frame?.id ?? '']) {
      const problem = await refused(`?runs=${ids[0]}`, 400, { 'Last-Event-ID': place });
      expect(problem).toMatchObject({
        code: 'invalid_header',
        errors: [{ header: 'Last-Event-ID' }],
      });
    }
  });

  it('is refused as anything but text/event-stream', async () => {
    const [id = ''] = await acceptedRuns(1);
    const problem = await refused(`?runs=${id}`, 406, { Accept: 'application/json' });
    expect(problem).toMatchObject({ code: 'not_acceptable', errors: [{ header: 'Accept' }] });
    await api.http().head(`/v1/events?runs=${id}`).expect(200);
  });
});
