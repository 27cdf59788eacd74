/**
 * Real: api, Postgres, Kafka. Stands in: the processor, whose events the spec writes; and time, which is moved in the rows.
 */
import { randomUUID } from 'node:crypto';
import type { RunView } from '#libs/contracts';
import { ContentStore } from '#libs/content';
import { Sweeper } from '#libs/postgres';
import type { Keep } from '#libs/process';
import { ProjectRuns } from '../../../apps/api/src/project-runs/project-runs.js';
import type { ApiStores } from '../../../apps/api/src/schema/index.js';
import { startTestApi, type TestApi } from './api-fixture.js';
import { eventMessage, failure, received, storyOf } from './run-story.js';

let api: TestApi;
let projection: ProjectRuns;
let sweeper: Sweeper<ApiStores, Keep>;

beforeAll(async () => {
  api = await startTestApi({ HOLDFAST_KEEP_DETAIL_DAYS: '10', HOLDFAST_KEEP_RUNS_DAYS: '40' });
  projection = api.app.get(ProjectRuns);
  sweeper = api.app.get<Sweeper<ApiStores, Keep>>(Sweeper);
  await sweeper.stop(); // from here on it sweeps when the spec says so
});
afterAll(() => api?.stop());

const sweep = () => sweeper.sweep(new AbortController().signal);
const body = { workflow: 'answer', input: { question: 'Why?' }, reference: 'mine' };
const submit = (key: string, more: object = {}) =>
  api
    .http()
    .post('/v1/runs')
    .set('Idempotency-Key', key)
    .send({ ...body, ...more });

async function completedRun(more: object = {}) {
  const key = randomUUID();
  const { id } = (await submit(key, more).expect(202)).body as RunView;
  const uuid = id.slice('run_'.length);
  for (const message of storyOf(uuid)) await projection.take(received(message));
  await endedDaysAgo(uuid, 0); // the story is an old one
  return { id, uuid, key };
}

const endedDaysAgo = (uuid: string, days: number) =>
  api.database.query(`UPDATE api.runs SET ended_at = now() - $2 * interval '1 day' WHERE id = $1`, [
    uuid,
    days,
  ]);
const historyOf = async (uuid: string) =>
  (await api.database.query('SELECT FROM api.run_events WHERE run_id = $1', [uuid])).rowCount;
const viewOf = async (id: string) =>
  (await api.http().get(`/v1/runs/${id}`).expect(200)).body as RunView;

describe('a run whose detail has been kept long enough', () => {
  it('says how it ended, and that its result and history are gone', async () => {
    const { id, uuid } = await completedRun();
    await endedDaysAgo(uuid, 11);
    const before = await api.http().get(`/v1/runs/${id}`).expect(200);
    await sweep();
    const view = await viewOf(id);
    expect(view).toMatchObject({ status: 'completed', reference: null, links: { result: null } });
    expect(view.expiredAt).not.toBeNull();
    expect(view.usage).toMatchObject({ calls: 2 });
    for (const part of ['result', 'events']) {
      const answer = await api.http().get(`/v1/runs/${id}/${part}`).expect(410);
      expect(answer.body).toMatchObject({ code: 'run_expired', retryable: false });
    }
    await api.http().get(`/v1/events?runs=${id}`).set('Accept', 'text/event-stream').expect(204);
    await api
      .http()
      .get(`/v1/runs/${id}`)
      .set('If-None-Match', before.headers['etag'] ?? '')
      .expect(200);
  });

  it('is still the run of its key, and is not carried out again', async () => {
    const { id, uuid, key } = await completedRun();
    await endedDaysAgo(uuid, 11);
    await sweep();
    const asked = async () =>
      (await api.database.query('SELECT FROM api.outbox WHERE key = $1', [id])).rowCount;
    const askedBefore = await asked();
    const again = await submit(key).set('Prefer', 'wait=1').expect(200);
    expect(again.headers['idempotency-replayed']).toBe('true');
    expect(again.body).toMatchObject({ id, status: 'completed' });
    expect(again.body).not.toHaveProperty('result');
    await submit(key, { reference: 'another' }).expect(422);
    expect(await asked()).toBe(askedBefore);
  });

  it('is not changed by its events, should they come again', async () => {
    const { id, uuid } = await completedRun();
    await endedDaysAgo(uuid, 11);
    await sweep();
    const before = await viewOf(id);
    for (const message of storyOf(uuid)) await projection.take(received(message));
    expect(await viewOf(id)).toEqual(before);
    expect(await historyOf(uuid)).toBe(0);
  });
});

it('a run is kept whole until then, and for ever while it has not ended', async () => {
  const recent = await completedRun();
  await endedDaysAgo(recent.uuid, 9);
  const { id } = (await submit(randomUUID()).expect(202)).body as RunView;
  const waiting = id.slice('run_'.length);
  await projection.take(
    received(
      eventMessage(waiting, 'RunNeedsReview', {
        version: 1,
        occurredAt: new Date().toISOString(),
        status: 'needs_review',
        failure,
        usage: {
          calls: 0,
          inputTokens: 0,
          cachedInputTokens: 0,
          outputTokens: 0,
          reasoningTokens: 0,
        },
      }),
    ),
  );
  await api.database.query(
    `UPDATE api.runs SET created_at = now() - interval '9 years' WHERE id = $1`,
    [waiting],
  );
  await sweep();
  expect((await viewOf(recent.id)).expiredAt).toBeNull();
  expect(await historyOf(recent.uuid)).toBe(7);
  expect(await viewOf(id)).toMatchObject({ status: 'needs_review', expiredAt: null });
});

it('when the run itself has been kept long enough it is not there any more, and its key is free', async () => {
  const { id, uuid, key } = await completedRun();
  await endedDaysAgo(uuid, 41);
  await sweep();
  await api.http().get(`/v1/runs/${id}`).expect(404);
  const anew = await submit(key).expect(202);
  expect((anew.body as RunView).id).not.toBe(id);
});

it('events that could not be read go after their time, those that wait for another one do not', async () => {
  const park = (offset: number, reason: string, days: number) =>
    api.database.query(
      `INSERT INTO api.parked_events (topic, "partition", "offset", reason, parked_at, tenant, run_id, version, event_id, type, body)
       VALUES ('spec', 0, $1, $2, now() - $3 * interval '1 day', 't', $4, 5, 'e', 'x', '{}')`,
      [offset, reason, days, randomUUID()],
    );
  await park(9001, 'undecodable', 11);
  await park(9002, 'undecodable', 9);
  await sweep();
  const { rows } = await api.database.query<{ offset: bigint }>(
    `SELECT "offset" FROM api.parked_events WHERE "offset" > 9000`,
  );
  expect(rows).toEqual([{ offset: 9002n }]);
});

it('what was decided about a run goes with it, and refused commands after their time', async () => {
  const decidedAbout = async (days: number) => {
    const { uuid } = await completedRun();
    await api.database.query(
      `INSERT INTO api.decisions (tenant, run_id, id, decision, decided_at) VALUES ('default', $1, $2, 'cancel', now())`,
      [uuid, randomUUID()],
    );
    await endedDaysAgo(uuid, days);
    return uuid;
  };
  const [kept, gone] = [await decidedAbout(39), await decidedAbout(41)];
  await api.database.query(
    `INSERT INTO api.refused_commands (id, code, refused_at)
     VALUES ('old', 'x', now() - interval '41 days'), ('young', 'x', now() - interval '39 days')`,
  );
  await sweep();
  const decisions = await api.database.query<{ run_id: string }>(
    'SELECT run_id FROM api.decisions WHERE run_id = ANY($1::uuid[])',
    [[kept, gone]],
  );
  expect(decisions.rows).toEqual([{ run_id: kept }]);
  const commands = await api.database.query('SELECT id FROM api.refused_commands');
  expect(commands.rows).toEqual([{ id: 'young' }]);
});

it('messages that Kafka refused go together with those behind them, never one alone', async () => {
  const append = (key: string, parkedDaysAgo: number | null) =>
    api.database.query(
      `INSERT INTO api.outbox (topic, key, headers, body, size_bytes, parked_at, parked_reason)
       VALUES ('spec', $1, '{}', '{}', 4, now() - $2::int * interval '1 day', CASE WHEN $2::int IS NOT NULL THEN 'x' END)`,
      [key, parkedDaysAgo],
    );
  await append('old', 41);
  await append('old', null); // waits behind it
  await append('young', 39);
  await sweep();
  const { rows } = await api.database.query(
    `SELECT key FROM api.outbox WHERE key IN ('old', 'young') ORDER BY seq`,
  );
  expect(rows).toEqual([{ key: 'young' }]);
});

describe('contents', () => {
  const hoursPass = (hours: number) =>
    api.database.query(
      `UPDATE content.contents SET needed_by_api = needed_by_api - $1 * interval '1 hour',
         needed_by_processor = needed_by_processor - $1 * interval '1 hour'`,
      [hours],
    );
  const processorLetsGo = () =>
    api.app
      .get(ContentStore)
      .letGo('processor', { overMs: 86_400_000, maxContents: 500 }, () =>
        Promise.resolve(new Map()),
      );
  const upload = async (text: string) => {
    const file = Buffer.from(text);
    const answer = await api.http().post('/v1/documents').attach('file', file, 'a.md').expect(201);
    return (answer.body as { id: string }).id;
  };
  const isThere = async (documentId: string) => {
    const found = await api.database.query(
      `SELECT FROM content.contents
       WHERE 'doc_' || rtrim(translate(encode(digest, 'base64'), '+/', '-_'), '=') = $1`,
      [documentId],
    );
    return found.rowCount === 1;
  };
  const tender = (documents: string[]) => ({
    workflow: 'tender-compliance',
    input: {},
    documents,
  });

  it('stay while a run refers to them, and go a day after the last one lost its detail', async () => {
    const [used, unused] = [await upload('used'), await upload('unused')];
    const { uuid } = await completedRun(tender([used]));
    await hoursPass(25);
    await processorLetsGo();
    const young = await upload('young');
    await sweep();
    await sweep();
    const there = [await isThere(used), await isThere(unused), await isThere(young)];
    expect(there).toEqual([true, false, true]);

    await endedDaysAgo(uuid, 11);
    await sweep(); // the run loses its detail; the api looks at the content again when it might have
    expect(await isThere(used)).toBe(true);
    await hoursPass(24 * 8);
    await sweep();
    expect(await isThere(used)).toBe(false);
  });

  it('that are a result by hand stay while the decision may have to be sent again', async () => {
    const byHand = await upload('by hand');
    await api.database.query(
      `INSERT INTO api.decisions (tenant, run_id, id, decision, decided_at, result_ref)
       VALUES ('default', $1, $2, 'complete', now(), $3)`,
      [randomUUID(), randomUUID(), byHand.replace('doc_', 'cnt_')],
    );
    await hoursPass(25);
    await processorLetsGo();
    await sweep();
    await sweep();
    expect(await isThere(byHand)).toBe(true);
    await api.database.query(`UPDATE api.decisions SET state = 'applied'`);
    await hoursPass(24 * 12);
    await sweep();
    await sweep();
    expect(await isThere(byHand)).toBe(false);
  });

  it('that a new run names just then stay, and those that were quicker are refused by name', async () => {
    const late = await upload('late');
    await hoursPass(25);
    await processorLetsGo();
    await submit(randomUUID(), tender([late])).expect(202); // needed again by both
    await sweep();
    expect(await isThere(late)).toBe(true);

    const gone = await upload('gone');
    await hoursPass(25);
    await processorLetsGo();
    await sweep();
    const answer = await submit(randomUUID(), tender([gone])).expect(400);
    expect(answer.body).toMatchObject({ code: 'invalid_documents' });
  });

  it('what a broken upload left goes after a day', async () => {
    await api.database.query(
      `INSERT INTO content.bodies (body_id, started_at) VALUES ($1, now() - interval '25 hours'), ($2, now())`,
      [randomUUID(), randomUUID()],
    );
    await sweep();
    const left = await api.database.query('SELECT FROM content.bodies WHERE adopted_at IS NULL');
    expect(left.rowCount).toBe(1);
  });
});
