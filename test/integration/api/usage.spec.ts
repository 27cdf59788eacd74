/** Real: api, Postgres, Kafka. Stands in: the processor, whose events the spec writes. */
import { randomUUID } from 'node:crypto';
import type { RunView, SpendPart, UsageReport } from '#libs/contracts';
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

async function waitFor(condition: () => Promise<boolean>, withinMs = patienceMs): Promise<void> {
  const endsAt = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > endsAt) throw new Error('it did not come about in time');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
