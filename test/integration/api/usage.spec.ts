/** Real: api, Postgres, Kafka. Stands in: the processor, whose events the spec writes. */
import { randomUUID } from 'node:crypto';
import {
  repeatHeaders,
  RUN_SPEND_SETTLED,
  type RunSpendSettled,
  type RunView,
  type SpendPart,
  type UsageReport,
} from '#libs/contracts';
import { runIdOf } from '#libs/domain';
import { ProjectRuns } from '../../../apps/api/src/project-runs/project-runs.js';
import { patienceMs } from '../../support/patience.js';
import { startTestApi, type TestApi } from './api-fixture.js';
import { at, eventMessage, failure, received } from './run-story.js';

let api: TestApi;
let projection: ProjectRuns;
beforeAll(async () => {
  api = await startTestApi();
  projection = api.app.get(ProjectRuns);
});
afterAll(() => api?.stop());

const usage = {
  calls: 1,
  inputTokens: 10,
  cachedInputTokens: 0,
  outputTokens: 5,
  reasoningTokens: 0,
};
const part = (model: string, changes: Partial<SpendPart> = {}): SpendPart => ({
  ...{ day: '2026-11-20', model, calls: 1, inputTokens: 10, cachedInputTokens: 2, outputTokens: 5 },
  ...{ bookedUsd: '0.50', uncertainUsd: '0.00', retriesUsd: '0.00', ...changes },
});
const cost = { bookedUsd: '0.50', uncertainUsd: '0.00', maxCostUsd: null };

async function acceptedRun(body: object = {}): Promise<string> {
  const answer = await api
    .http()
    .post('/v1/runs')
    .set('Idempotency-Key', randomUUID())
    .send({ workflow: 'answer', input: { question: 'Why?' }, ...body })
    .expect(202);
  return (answer.body as RunView).id.slice('run_'.length);
}

/** Every run of this spec has a model of its own, so that nobody else's spend is in its sums. */
const reportOf = async (model: string) => {
  const query = { from: '2026-11-01', to: '2026-11-30', model };
  const answer = await api.http().get('/v1/usage').query(query).expect(200);
  return answer.body as UsageReport;
};
const review = (run: string, version: number, spend: SpendPart[]) =>
  eventMessage(run, 'RunNeedsReview', {
    ...{ version, status: 'needs_review', occurredAt: at(version), failure, usage, cost, spend },
  });
const completed = (run: string, version: number, spend: SpendPart[]) =>
  eventMessage(run, 'RunCompleted', {
    ...{ version, status: 'completed', occurredAt: at(version), usage, cost, spend },
    ...{ resultRef: 'cnt_x', durationMs: 1_000 },
  });
const started = (run: string, version: number) =>
  eventMessage(run, 'RunStarted', { version, status: 'running', occurredAt: at(version) });
/** What became known later of the spend that was told with `afterVersion`. */
const settled = (run: string, afterVersion: number, settlement: number, spend: SpendPart[]) => {
  const { bookedUsd, uncertainUsd } = spend[0]!;
  const data: RunSpendSettled = {
    ...{ runId: runIdOf(run), tenant: 'default', workflow: 'answer', workflowVersion: 1 },
    ...{ afterVersion, settlement, occurredAt: at(9), usage, spend, reference: null, labels: {} },
    cost: { bookedUsd, uncertainUsd, maxCostUsd: null },
  };
  return { ...review(run, afterVersion, []), type: RUN_SPEND_SETTLED, data };
};
const take = async (message: ReturnType<typeof started>) => {
  await projection.take(received(message));
};

describe('what runs have spent', () => {
  it('is added up over runs, each counted once, whatever is told again', async () => {
    const model = randomUUID();
    for (const run of [await acceptedRun(), await acceptedRun()]) {
      const end = completed(run, 1, [part(model, { uncertainUsd: '0.25', retriesUsd: '0.15' })]);
      await take(end);
      await take(end);
    }
    const { rows, total } = await reportOf(model);
    const sums = {
      ...{ runs: 2, calls: 2, inputTokens: 20, cachedInputTokens: 4, outputTokens: 10 },
      ...{ bookedUsd: '1.00', uncertainUsd: '0.50', retriesUsd: '0.30' },
      ...{ uncertainShare: 0.3333, retriesShare: 0.2 },
    };
    expect(rows).toEqual([
      { day: '2026-11-20', tenant: 'default', workflow: 'answer', model, ...sums },
    ]);
    expect(total).toEqual(sums);
  });

  it('is what a run told last: a redrive adds to what was told at the stop, and counts nothing twice', async () => {
    const model = randomUUID();
    const run = await acceptedRun();
    await take(review(run, 1, [part(model)]));
    await take(started(run, 2));
    const later = part(model, { day: '2026-11-21', bookedUsd: '0.000000001' });
    await take(completed(run, 3, [part(model), later]));
    const { rows, total } = await reportOf(model);
    expect(rows.map(({ day, bookedUsd }) => [day, bookedUsd])).toEqual([
      ['2026-11-21', '0.000000001'],
      ['2026-11-20', '0.50'],
    ]);
    expect(total.bookedUsd).toBe('0.500000001');
  });

  it('does not go back where an older event comes late', async () => {
    const model = randomUUID();
    const run = await acceptedRun();
    const overGap = { ...received(completed(run, 3, [part(model, { bookedUsd: '0.90' })])) };
    await projection.take(overGap);
    await take(review(run, 1, [part(model)]));
    await take(started(run, 2));
    await waitFor(async () => (await reportOf(model)).total.bookedUsd === '0.90');
    await take(review(run, 1, [part(model)]));
    expect((await reportOf(model)).total.bookedUsd).toBe('0.90');
  });

  describe('and was uncertain when it was told', () => {
    const unknown = (model: string) =>
      part(model, { bookedUsd: '0.00', uncertainUsd: '0.25', inputTokens: 0, outputTokens: 0 });
    const known = (model: string) => part(model, { bookedUsd: '0.20' });
    const inPart = (model: string) => part(model, { bookedUsd: '0.10', uncertainUsd: '0.12' });
    const sumsOf = async (model: string) => {
      const { calls, runs, bookedUsd, uncertainUsd, inputTokens } = (await reportOf(model)).total;
      return { calls, runs, bookedUsd, uncertainUsd, inputTokens };
    };
    const once = { calls: 1, runs: 1, bookedUsd: '0.20', uncertainUsd: '0.00', inputTokens: 10 };
    const viewOf = async (run: string) => {
      const answer = await api
        .http()
        .get(`/v1/runs/${runIdOf(run)}`)
        .expect(200);
      return { etag: answer.headers['etag'], run: answer.body as RunView };
    };

    it('is booked once when it becomes known, on the usage and on the view, and no longer uncertain', async () => {
      const model = randomUUID();
      const run = await acceptedRun();
      await take(completed(run, 1, [unknown(model)]));
      expect(await sumsOf(model)).toMatchObject({ bookedUsd: '0.00', uncertainUsd: '0.25' });
      const before = await viewOf(run);
      const message = settled(run, 1, 1, [known(model)]);
      await take(message);
      expect(await sumsOf(model)).toEqual(once);
      const after = await viewOf(run);
      expect(after.run).toMatchObject({ status: 'completed', version: 1 });
      expect(after.run.cost).toMatchObject({ bookedUsd: '0.20', uncertainUsd: '0.00' });
      expect(after.etag).not.toBe(before.etag);
      await take(message); // again
      expect(await sumsOf(model)).toEqual(once);
      expect((await viewOf(run)).etag).toBe(after.etag);
      expect((await historyOf(run)).map(({ type }) => type)).toEqual([
        'dev.holdfast.run.completed.v1', // no event of the run
      ]);
    });

    it.each([
      ['before the end that it settles', [1, 0]],
      ['after a later one', [0, 2, 1]],
      ['in any order, again and again', [2, 1, 0, 1, 2, 0]],
    ])('is the same whichever comes %s', async (_what, order) => {
      const model = randomUUID();
      const run = await acceptedRun();
      const last = order.length === 2 ? known(model) : inPart(model);
      const told = [
        completed(run, 1, [unknown(model)]),
        settled(run, 1, 1, [last]),
        settled(run, 1, 2, [known(model)]),
      ];
      for (const index of order) await take(told[index]!);
      expect(await sumsOf(model)).toEqual(once);
    });

    it('gives way to what the run tells at its next stop, also where it comes after it', async () => {
      const model = randomUUID();
      const run = await acceptedRun();
      await take(review(run, 1, [unknown(model)]));
      await take(started(run, 2));
      await take(settled(run, 1, 1, [inPart(model)])); // the run goes on; this is news all the same
      expect(await sumsOf(model)).toMatchObject({ bookedUsd: '0.10', uncertainUsd: '0.12' });
      await take(completed(run, 3, [known(model)]));
      await take(settled(run, 1, 2, [inPart(model)]));
      expect(await sumsOf(model)).toEqual(once);
    });

    it('does not come back where an older event of the run is found again', async () => {
      const model = randomUUID();
      const run = await acceptedRun();
      const overGap = received(completed(run, 3, [unknown(model)]));
      await projection.take({ ...overGap, headers: { [repeatHeaders.repeated]: '1' } });
      await take(settled(run, 3, 1, [known(model)]));
      await take(started(run, 2));
      await take(review(run, 1, [unknown(model)]));
      expect(await sumsOf(model)).toEqual(once);
    });

    it('is forgotten with the run: nothing is left behind that nobody would remove', async () => {
      const model = randomUUID();
      const run = await acceptedRun();
      await take(completed(run, 1, [unknown(model)]));
      await api.database.query('DELETE FROM api.run_spend WHERE run_id = $1', [run]);
      await api.database.query('DELETE FROM api.runs WHERE id = $1', [run]);
      const message = settled(run, 1, 1, [known(model)]);
      await take(message);
      expect((await reportOf(model)).rows).toEqual([]);
      expect(await parkedAs(message.id)).toBe('refused'); // and nothing hides
    });

    it.each([
      ['lacks what it has to tell', { spend: undefined }, 'invalid'],
      ['is about no run', { runId: 'run_------------------------------------' }, 'invalid'],
      ['cannot be stored', { tenant: '\u0000' }, 'refused'],
    ])('is set aside where it %s', async (_what, broken, reason) => {
      const run = await acceptedRun();
      const message = settled(run, 1, 1, [known(randomUUID())]);
      const id = randomUUID();
      await take({ ...message, id, data: { ...(message.data as object), ...broken } });
      expect(await parkedAs(id)).toBe(reason);
    });
  });

  it("is on the run's view, beside its budget", async () => {
    const run = await acceptedRun({ budget: { maxCostUsd: '2.50' } });
    await take(completed(run, 1, [part('m')]));
    const view = (
      await api
        .http()
        .get(`/v1/runs/${runIdOf(run)}`)
        .expect(200)
    ).body as RunView;
    expect(view).toMatchObject({ cost, budget: { maxCostUsd: '2.50' } });
  });

  it('is nothing on a day without calls, and then has no shares', async () => {
    const { rows, total } = await reportOf(randomUUID());
    expect(rows).toEqual([]);
    expect(total).toMatchObject({ runs: 0, bookedUsd: '0.00', uncertainShare: null });
  });
});

it.each([
  ['a day that is none', { from: '2026-02-30' }, 'from'],
  ['something that is no day', { to: 'yesterday' }, 'to'],
  ['an end before the beginning', { from: '2026-11-02', to: '2026-11-01' }, 'from'],
  ['more than 92 days', { from: '2026-01-01', to: '2026-11-01' }, 'from'],
  ['what is not known', { tenant: 'other' }, 'tenant'],
  ['a model twice', { model: ['a', 'b'] }, 'model'],
])('%s is a wrong query', async (_what, query, parameter) => {
  const answer = await api.http().get('/v1/usage').query(query).expect(400);
  expect(answer.headers['content-type']).toContain('application/problem+json');
  expect(answer.body).toMatchObject({ code: 'invalid_query', errors: [{ parameter }] });
});

it.each([
  ['zero', { maxCostUsd: '0.00' }, '/budget/maxCostUsd'],
  ['a negative one', { maxCostUsd: '-1' }, '/budget/maxCostUsd'],
  ['a number', { maxCostUsd: 2.5 }, '/budget/maxCostUsd'],
  ['more decimals than a nano-dollar has', { maxCostUsd: '0.0000000001' }, '/budget/maxCostUsd'],
  ['another field', { maxCostUsd: '1', maxTokens: 5 }, '/budget/maxTokens'],
  ['text', '2.50', '/budget'],
])('a budget of %s is refused at the submit', async (_what, budget, pointer) => {
  const answer = await api
    .http()
    .post('/v1/runs')
    .set('Idempotency-Key', randomUUID())
    .send({ workflow: 'answer', input: { question: 'Why?' }, budget })
    .expect(400);
  expect(answer.body).toMatchObject({ code: 'invalid_body', errors: [{ pointer }] });
});

async function parkedAs(eventId: string): Promise<string | undefined> {
  const { rows } = await api.database.query<{ reason: string }>(
    'SELECT reason FROM api.parked_events WHERE event_id = $1',
    [eventId],
  );
  return rows[0]?.reason;
}

async function historyOf(run: string): Promise<readonly { type: string }[]> {
  const answer = await api
    .http()
    .get(`/v1/runs/${runIdOf(run)}/events`)
    .expect(200);
  return (answer.body as { events: { type: string }[] }).events;
}

async function waitFor(condition: () => Promise<boolean>, withinMs = patienceMs): Promise<void> {
  const endsAt = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > endsAt) throw new Error('it did not come about in time');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
