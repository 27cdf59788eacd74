/** Real: api, Postgres, Kafka. Stands in: the processor, whose events the spec writes. */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { RunHistory, RunView } from '#libs/contracts';
import { runIdOf } from '#libs/domain';
import type { Message } from '#libs/messaging';
import { uuidv7 } from '#libs/postgres';
import { ParkedEventsStore } from '../../../apps/api/src/project-runs/parked-events.store.js';
import { ProjectRuns } from '../../../apps/api/src/project-runs/project-runs.js';
import { retakeOnce } from '../../../apps/api/src/project-runs/retake-parked.js';
import { patienceMs } from '../../support/patience.js';
import { startTestApi, type TestApi } from './api-fixture.js';
import { at, eventMessage, received, result, storyOf } from './run-story.js';

let api: TestApi;
let projection: ProjectRuns;
let parked: ParkedEventsStore;

beforeAll(async () => {
  api = await startTestApi();
  projection = api.app.get(ProjectRuns);
  parked = api.app.get(ParkedEventsStore);
});
afterAll(() => api?.stop());

async function acceptedRun(): Promise<string> {
  const answer = await api
    .http()
    .post('/v1/runs')
    .set('Idempotency-Key', randomUUID())
    .send({ workflow: 'answer', input: { question: 'Why?' } })
    .expect(202);
  return (answer.body as RunView).id.slice('run_'.length);
}

async function viewOf(runUuid: string): Promise<RunView> {
  return (
    await api
      .http()
      .get(`/v1/runs/${runIdOf(runUuid)}`)
      .expect(200)
  ).body as RunView;
}

async function historyOf(runUuid: string): Promise<RunHistory['events']> {
  const answer = await api
    .http()
    .get(`/v1/runs/${runIdOf(runUuid)}/events`)
    .expect(200);
  return (answer.body as RunHistory).events;
}

const take = (message: Message) => projection.take(received(message));

/** Takes up everything that is parked, as if all of it had waited long enough. */
async function retakeAll(): Promise<void> {
  while ((await retakeOnce(parked, projection, 0)) > 0);
}

async function waitFor(condition: () => Promise<boolean>, withinMs = patienceMs): Promise<void> {
  const endsAt = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > endsAt) throw new Error('it did not come about in time');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("a run's events", () => {
  it('become its view, one after the other', async () => {
    const run = await acceptedRun();
    const [queued, started, progressed, retrying, restarted, again, completed] = storyOf(run);
    const steps: [Message | undefined, Partial<RunView>][] = [
      [queued, { status: 'queued', version: 1 }],
      [started, { status: 'running', startedAt: at(1), attempt: 1 }],
      [progressed, { message: 'Running: Answering (step 2 of 3).' }],
      [retrying, { status: 'retrying', attempt: 2, nextAttemptAt: at(40) }],
      [restarted, { status: 'running', failure: null, waiting: null, nextAttemptAt: null }],
      [again, { version: 6, startedAt: at(1) }],
      [completed, { status: 'completed', version: 7, endedAt: at(6) }],
    ];
    for (const [message, expected] of steps) {
      if (message) await take(message);
      expect(await viewOf(run)).toMatchObject(expected);
    }
    expect(await viewOf(run)).toMatchObject({
      usage: { calls: 2 },
      links: { result: expect.any(String) as string },
    });
  });

  it('come by Kafka too', async () => {
    const run = await acceptedRun();
    await api.publish(storyOf(run));
    await waitFor(async () => (await viewOf(run)).status === 'completed');
    expect((await historyOf(run)).map((event) => event.version)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const answer = await api
      .http()
      .get(`/v1/runs/${runIdOf(run)}/result`)
      .expect(200);
    expect(answer.body).toEqual(result);
  });

  it('come to the same view in any order, with any repeats, however long each waits', async () => {
    const reference = await acceptedRun();
    for (const message of storyOf(reference)) await take(message);
    const expected = comparable(await viewOf(reference));
    const versions = [0, 1, 2, 3, 4, 5, 6];
    const order = fc
      .tuple(
        fc.shuffledSubarray(versions, { minLength: 7, maxLength: 7 }),
        fc.array(fc.constantFrom<number | 'retake'>(...versions, 'retake'), { maxLength: 10 }),
      )
      .chain(([all, more]) =>
        fc.shuffledSubarray([...all, ...more], { minLength: all.length + more.length }),
      );

    await fc.assert(
      fc.asyncProperty(order, fc.boolean(), async (steps, knownAtFirst) => {
        const run = knownAtFirst ? await acceptedRun() : uuidv7();
        const story = storyOf(run);
        for (const step of steps) {
          const message = step === 'retake' ? undefined : story[step];
          if (message) await take(message);
          else await retakeAll();
        }
        await retakeAll();
        expect(comparable(await viewOf(run))).toEqual(expected);
        expect((await historyOf(run)).map(({ id }) => id)).toEqual(story.map(({ id }) => id));
        expect(await waitingEvents(run)).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('come to the same view when all are handed over at once, many runs beside each other', async () => {
    const runs = await Promise.all(Array.from({ length: 20 }, () => acceptedRun()));
    const messages = runs.flatMap((run) => [...storyOf(run), ...storyOf(run)].reverse());
    await Promise.all(messages.map(take));
    await retakeAll();
    const views = await Promise.all(runs.map(viewOf));
    expect(new Set(views.map((view) => JSON.stringify(comparable(view)))).size).toBe(1);
    expect(views[0]).toMatchObject({ status: 'completed', version: 7 });
  });

  it('redelivered after the end change nothing, not even the revision', async () => {
    const run = await acceptedRun();
    const story = storyOf(run);
    for (const message of story) await take(message);
    const before = await api.database.query('SELECT * FROM api.runs WHERE id = $1', [run]);
    for (const message of [...story].reverse()) await take(message);
    const after = await api.database.query('SELECT * FROM api.runs WHERE id = $1', [run]);
    expect(after.rows).toEqual(before.rows);
  });
});

describe('a gap', () => {
  it('is parked, and closed by the event that was missing', async () => {
    const run = await acceptedRun();
    const [queued, started, progressed] = storyOf(run);
    const gaps = projection.counts.gaps;
    if (!queued || !started || !progressed) throw new Error('the story has these');
    await take(queued);
    await take(progressed);
    expect(await viewOf(run)).toMatchObject({ version: 1, status: 'queued' });
    expect(await waitingEvents(run)).toBe(1);
    await take(started);
    expect(await viewOf(run)).toMatchObject({ version: 3, status: 'running' });
    expect(await waitingEvents(run)).toBe(0);
    expect(projection.counts.gaps).toBe(gaps);
  });

  it('is applied over and counted after 5 s, by itself', async () => {
    const run = await acceptedRun();
    const gaps = projection.counts.gaps;
    const startedAt = Date.now();
    await api.publish(storyOf(run).slice(6));
    await waitFor(async () => (await viewOf(run)).status === 'completed');
    expect(Date.now() - startedAt).toBeGreaterThan(4_500);
    expect(projection.counts.gaps).toBe(gaps + 1);
  });

  it('of a run that nobody knows becomes a run after 5 s', async () => {
    const run = uuidv7();
    await api
      .http()
      .get(`/v1/runs/${runIdOf(run)}`)
      .expect(404);
    for (const message of storyOf(run)) await take(message);
    expect(await waitingEvents(run)).toBe(7);
    await retakeAll();
    expect(await viewOf(run)).toMatchObject({ status: 'completed', version: 7 });
  });
});

describe('what is no event', () => {
  it('is set aside with the reason, and what follows on its partition goes on', async () => {
    const run = await acceptedRun();
    const key = runIdOf(run);
    await api.publishRaw({ key, value: Buffer.from('{"broken') });
    await api.publishRaw({ key, value: null });
    const odd = { ce_id: 'a\0b', ce_type: '\0' };
    await api.publishRaw({ key, value: null, headers: odd });
    await api.publish([
      { ...eventMessage(run, 'RunQueued', { version: 1, status: 'queued', occurredAt: 'now' }) },
      { ...eventMessage(run, 'RunQueued', { version: 1 }), type: 'dev.holdfast.run.queued.v9' },
      eventMessage(run, 'RunQueued', { version: 3e9, status: 'queued', occurredAt: '2026-01-01' }),
      ...storyOf(run),
    ]);
    await waitFor(async () => (await viewOf(run)).status === 'completed');
    const { rows } = await api.database.query<{ reason: string; problem: string }>(
      `SELECT reason, problem FROM api.parked_events WHERE reason NOT IN ('gap', 'unknown_run')
       ORDER BY "partition", "offset"`,
    );
    expect(rows.map(({ reason }) => reason)).toEqual([
      'undecodable',
      'undecodable',
      'undecodable',
      'invalid',
      'unknown_type',
      'refused', // by Postgres: the version is beyond an integer
    ]);
    expect(rows[3]?.problem).toContain('/occurredAt');
    expect(rows.every(({ problem }) => !problem.includes('broken'))).toBe(true);
  });
});

async function waitingEvents(runUuid: string): Promise<number> {
  const { rows } = await api.database.query<{ count: bigint }>(
    'SELECT count(*) FROM api.parked_events WHERE run_id = $1',
    [runUuid],
  );
  return Number(rows[0]?.count);
}

/** A view without what names this run, or counts how the view came about. */
function comparable(view: RunView): Partial<RunView> {
  const { id: _id, createdAt: _createdAt, revision: _revision, links: _links, ...rest } = view;
  return rest;
}
