/** Real: api, Postgres, Kafka. Stands in: the processor, whose events the spec writes. */
import { randomUUID } from 'node:crypto';
import type { ProblemBody, RunView } from '#libs/contracts';
import type { Statement, Tx } from '#libs/postgres';
import { UnfinishedRunsStore } from '../../../apps/api/src/submit-runs/unfinished-runs.store.js';
import { ProjectRuns } from '../../../apps/api/src/project-runs/project-runs.js';
import { eventually } from '../../support/eventually.js';
import { startTestApi, type TestApi } from './api-fixture.js';
import { eventMessage, failure, received, storyOf } from './run-story.js';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi({ API_MAX_UNFINISHED_RUNS: '3' });
});
afterEach(() => api?.stop());

const submit = (key = randomUUID(), question = 'Why?') =>
  api
    .http()
    .post('/v1/runs')
    .set('Idempotency-Key', key)
    .send({ workflow: 'answer', input: { question } });

describe('a tenant with too many unfinished runs', () => {
  it('is told to come back, and nothing is stored', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => submit(randomUUID(), `Why ${n}?`)),
    );
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(3);
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused).toHaveLength(17);
    for (const { headers, body } of refused) {
      expect(headers['content-type']).toMatch(/^application\/problem\+json/);
      expect(Number(headers['retry-after'])).toBeGreaterThan(0);
      expect(body as ProblemBody).toMatchObject({
        code: 'too_many_unfinished_runs',
        retryable: true,
        limit: 3,
      });
    }
    expect(await stored()).toEqual({ runs: 3, requests: 3, contents: 3 });
  });

  it('is never refused the replay of a key that was accepted', async () => {
    const keys = [randomUUID(), randomUUID(), randomUUID()];
    for (const key of keys) await submit(key).expect(202);
    await submit().expect(429);
    for (const key of keys) {
      const replay = await submit(key).expect(202);
      expect(replay.headers['idempotency-replayed']).toBe('true');
    }
    await submit(keys[0], 'Another question?').expect(422);
  });

  it('may go on as soon as a run has ended, or waits for a person', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) ids.push(((await submit().expect(202)).body as RunView).id);
    const [completed = '', reviewed = ''] = ids.map((id) => id.slice('run_'.length));
    await tell(storyOf(completed));
    await acceptedSoon();
    await submit().expect(429);
    const occurredAt = new Date().toISOString();
    const review = { version: 1, status: 'needs_review', occurredAt, failure } as const;
    const usage = {
      calls: 0,
      inputTokens: 0,
      cachedInputTokens: 0,
      outputTokens: 0,
      reasoningTokens: 0,
    };
    await tell([eventMessage(reviewed, 'RunNeedsReview', { ...review, usage })]);
    await acceptedSoon();
    await submit().expect(429);
  });

  it('does not hold up another tenant', async () => {
    await insertRuns('someone else', 10);
    await submit().expect(202);
  });
});

describe('counting unfinished runs', () => {
  const limit = 1_000;
  const forgetStatistics = `DELETE FROM pg_statistic WHERE starelid = 'api.runs'::regclass`;

  it('of 100,000 reads no more than the limit, whatever is known about the table', async () => {
    await api.database.query('ALTER TABLE api.runs SET (autovacuum_enabled = off)'); // what is known is the spec's to say
    await insertRuns('someone else', 20_000);
    await api.database.query('ANALYZE api.runs'); // and nothing of this tenant is known
    await insertRuns('default', 100_000);
    await insertRuns('default', 20_000, 'completed');
    expect(await new UnfinishedRunsStore(api.database).count('default', limit)).toBe(limit);
    for (const statistics of ['SELECT', forgetStatistics, 'ANALYZE api.runs', 'VACUUM api.runs']) {
      await api.database.query(statistics);
      const plan = await planOfCount('default');
      expect(plan).toContain('Index Only Scan using runs_by_status');
      expect(buffersOf(plan)).toBeLessThan(1.2 * limit);
    }
  });

  it('of a few reads few, beside many that are done, even when the statistics are old', async () => {
    await api.database.query('ALTER TABLE api.runs SET (autovacuum_enabled = off)');
    await insertRuns('default', 20_000);
    await api.database.query('ANALYZE api.runs');
    await api.database.query(`UPDATE api.runs SET status = 'completed'`);
    await api.database.query('VACUUM (INDEX_CLEANUP ON, ANALYZE FALSE) api.runs');
    await insertRuns('default', 10);
    const plan = await planOfCount('default');
    expect(plan).toContain('Index Only Scan using runs_by_status');
    expect(buffersOf(plan)).toBeLessThan(50);
  });

  /** How Postgres carries out the last statement of the store. */
  async function planOfCount(tenant: string): Promise<string> {
    let plan = '';
    const explaining = (tx: Tx) => ({
      tx: true,
      query: async (statement: Statement, values: readonly unknown[] = []) => {
        const explained = `EXPLAIN (ANALYZE, BUFFERS) ${statement.text}`;
        const { rows } = await tx.query<Record<'QUERY PLAN', string>>(explained, values);
        plan = rows.map((row) => row['QUERY PLAN']).join('\n');
        return { rows: [], rowCount: 0 };
      },
    });
    await new UnfinishedRunsStore({
      transaction: (work) =>
        api.database.transaction((tx) => work(explaining(tx) as unknown as Tx)),
    }).count(tenant, limit);
    return plan;
  }

  /** Pages that were touched, in memory or not. */
  function buffersOf(plan: string): number {
    const [, hit = 0, read = 0] = /Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?/.exec(plan) ?? [];
    return Number(hit) + Number(read);
  }
});

async function insertRuns(tenant: string, count: number, status = 'queued'): Promise<void> {
  await api.database.query(
    `INSERT INTO api.runs (tenant, id, workflow, workflow_version, documents, priority, labels, status, attempt,
                           max_attempts, created_at)
     SELECT $1, gen_random_uuid(), 'answer', 1, '[]', 'interactive', '{}', $3, 1, 5, now()
     FROM generate_series(1, $2::int)`,
    [tenant, count, status],
  );
}

async function stored(): Promise<{ runs: number; requests: number; contents: number }> {
  const { rows } = await api.database.query<{ runs: number; requests: number; contents: number }>(
    `SELECT (SELECT count(*)::int FROM api.runs) AS runs,
            (SELECT last_value::int FROM api.outbox_order) AS requests,
            (SELECT count(*)::int FROM content.contents) AS contents`,
  );
  return rows[0] ?? { runs: -1, requests: -1, contents: -1 };
}

/** A place that has come free is seen with the next count. */
async function acceptedSoon(): Promise<void> {
  await eventually('a run is accepted', async () => (await submit()).status === 202);
}

async function tell(messages: ReturnType<typeof storyOf>): Promise<void> {
  for (const message of messages) await api.app.get(ProjectRuns).take(received(message));
}
