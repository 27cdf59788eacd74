/**
 * SIGTERM, with work in hand. Real: api and processors as processes of their own, Postgres, Kafka, the OpenAI SDK over HTTP.
 * Stands in: the simulator for OpenAI, with a charge counter.
 */
import { randomUUID } from 'node:crypto';
import { consumerGroups, topics, type RunView } from '#libs/contracts';
import { uuidOf, type RunId } from '#libs/domain';
import type { Sql } from '#libs/postgres';
import type { AppProcess } from '../support/app-process.js';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { originOf, readinessOnce } from '../support/readiness.js';
import { storyOf } from '../support/run-story.js';
import { placeOf } from '../support/topic-watch.js';

/** Until the spec says that it is over: `SimulatorClient.finish`. */
const heldMs = 600_000;

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow({ env: { LOG_LEVEL: 'info' } });
});
afterAll(async () => flow?.close());
afterEach(async () => flow.simulator.clearScript());

describe('a processor with calls in flight', () => {
  it.each([
    ['answer', 'background', 'picked up by its id'],
    ['quick-answer', 'foreground', 'read from the ledger, where the one that left wrote it'],
  ])(
    'and 1 s of grace gives its runs back, attempt unchanged; %s: the %s call is %s',
    async (workflow) => {
      const leaving = await onlyProcessor({ PROCESSOR_DRAIN_MS: '1000' });
      const { id, taken } = await slowRun(workflow, 4_000);
      await taken;
      const stopped = leaving.stop();
      await notReady(leaving);
      const next = await flow.scene.startProcessor();
      expect(await stopped).toEqual({ code: 0, signal: null });
      expectNothingLeftOpen(leaving);

      await flow.runs.completion(id);
      expect(await workersOf(id)).toEqual([
        { pid: leaving.pid, outcome: 'released' },
        { pid: next.pid, outcome: 'completed' },
      ]);
      await expectPaidOnce(id);
      expect((await flow.runs.view(id)).run).toMatchObject({ attempt: 1, failure: null });
    },
  );

  it('and 60 s of grace finishes them under leases that it renews, takes no new ones, leaves nothing unpublished or uncommitted, and ends as soon as it is done', async () => {
    const leaving = await onlyProcessor({ PROCESSOR_DRAIN_MS: '60000' });
    const { id, taken } = await slowRun('answer', heldMs);
    await taken;
    const stoppedAt = new Date();
    const stopped = leaving.stop();
    await notReady(leaving);
    const later = await flow.runs.ask('And who takes this one?');
    await eventually('its lease has been renewed since', () => isLeasedFor(id, stoppedAt));
    await flow.simulator.finish();
    const finishedAtMs = performance.now();
    expect(await stopped).toEqual({ code: 0, signal: null });
    expect(performance.now() - finishedAtMs).toBeLessThan(15_000);
    expectNothingLeftOpen(leaving);
    // Nobody else has been there since.
    expect((await flow.database.query('SELECT FROM processor.outbox')).rows).toEqual([]);
    expect(await workersOf(id)).toEqual([{ pid: leaving.pid, outcome: 'completed' }]);
    expect(await workersOf(later.id)).toEqual([]);
    await flow.watch.upToDate();
    expect(await isCommitted(id)).toBe(true);

    const next = await flow.scene.startProcessor();
    await flow.runs.completion(later.id);
    expect(await workersOf(later.id)).toEqual([{ pid: next.pid, outcome: 'completed' }]);
    expect((await storyOf(flow.watch, id)).at(-1)?.name).toBe('RunCompleted');
    await expectPaidOnce(id);
  });
});

describe('an api with streams and waits open', () => {
  it.each([
    ['1 s', 1_000],
    ['60 s', 60_000],
  ])(
    'and %s of grace ends both at once, with a hint to come back and a 202; what it accepted is published',
    async (_grace, graceMs) => {
      const { app, url } = await flow.scene.startApi({ API_DRAIN_MS: String(graceMs) });
      const { id } = await slowRun('answer', heldMs);
      const stream = await fetch(`${url}/v1/runs/${id}/events`, {
        headers: { Accept: 'text/event-stream' },
      });
      const waiting = submit({ Prefer: 'wait=30' }, heldMs, 'answer', url!);
      await eventually('the waiting run is accepted', async () => {
        const { rows } = await flow.database.query(`SELECT FROM api.runs WHERE ended_at IS NULL`);
        return rows.length === 2;
      });
      const stoppedAtMs = performance.now();
      const stopped = app.stop();
      const told = await stream.text();
      const answer = await waiting;
      expect(await stopped).toEqual({ code: 0, signal: null });
      expect(performance.now() - stoppedAtMs).toBeLessThan(15_000);
      expectNothingLeftOpen(app);

      expect(told).toMatch(/: this server is going down[^\n]*\nretry: \d+\n\n$/);
      expect(answer.status).toBe(202);
      expect(answer.headers.get('preference-applied')).toBe('wait=30');
      const view = (await answer.json()) as RunView;
      expect(['queued', 'running']).toContain(view.status);
      await expect(fetch(`${url}/livez`)).rejects.toThrow();

      await eventually('both are at OpenAI', async () => {
        const calls = await Promise.all([id, view.id].map((each) => flow.simulator.callsOf(each)));
        return calls.every(([call]) => call?.responseId);
      });
      await flow.simulator.finish();
      for (const runId of [id, view.id]) {
        await flow.watch.first('completion', (record) => {
          return (
            record.key?.toString() === runId &&
            String(record.headers['ce_type']).includes('completed')
          );
        });
        await expectPaidOnce(runId);
      }
      await flow.published();
      expect((await storyOf(flow.watch, view.id)).at(-1)?.name).toBe('RunCompleted');
    },
  );
});

describe('with nobody beside it', () => {
  it.each([
    ['a processor', 'processor', consumerGroups.admitRuns, onlyProcessor],
    ['an api', 'api', consumerGroups.projectRuns, onlyApi],
  ] as const)(
    '%s publishes what is committed while it goes down',
    async (_, schema, group, start) => {
      const leaving = await start({ API_DRAIN_MS: '20000', PROCESSOR_DRAIN_MS: '20000' });
      const outbox = `${schema}.outbox`;
      const append = (sql: Sql, rows: number) =>
        sql.query(appendTo(outbox), [topics.opsEvents, rows]);
      const isEmpty = async () =>
        (await flow.database.query(`SELECT FROM ${outbox} LIMIT 1`)).rowCount === 0;
      await append(flow.database, 1);
      await eventually('its relay leads', isEmpty);
      const { stopped } = await flow.database.transaction(async (tx) => {
        await tx.query(`LOCK TABLE ${outbox} IN ACCESS EXCLUSIVE MODE`);
        await append(tx, 10_000); // so many that some are left unless it waits
        const stopping = leaving.stop();
        const hasLeft = async () => (await flow.watch.membersOf(group)) === 0;
        await eventually('its consumers have left', hasLeft);
        return { stopped: stopping };
      });
      expect(await stopped).toEqual({ code: 0, signal: null });
      expect(await isEmpty()).toBe(true);
    },
    60_000,
  );
});

const appendTo = (outbox: string) => `
  INSERT INTO ${outbox} (topic, key, headers, body, size_bytes)
  SELECT $1, 'spec', '{}'::bytea, '{}'::bytea, 2 FROM generate_series(1, $2::int)`;

/** The one that the scene began with is gone. */
async function onlyApi(env: Record<string, string>): Promise<AppProcess> {
  await flow.scene.api.killHard();
  return (await flow.scene.startApi(env)).app;
}

/** One that has just started; all others have left, so that nobody waits for their sessions. */
async function onlyProcessor(env: Record<string, string>): Promise<AppProcess> {
  await Promise.all(flow.scene.processors.map((other) => other.stop()));
  return flow.scene.startProcessor(env);
}

/** `taken` resolves when OpenAI has its call. */
async function slowRun(workflow: string, answerAfterMs: number) {
  const view = (await (await submit({}, answerAfterMs, workflow)).json()) as RunView;
  const taken = () =>
    eventually(`OpenAI has the call of ${view.id}`, async () => {
      const [call] = await flow.simulator.callsOf(view.id);
      return call?.responseId;
    });
  return { id: view.id, taken: taken() };
}

async function submit(
  headers: Record<string, string>,
  answerAfterMs: number,
  workflow = 'answer',
  apiUrl = flow.scene.apiUrl,
): Promise<Response> {
  const question = `Question ${randomUUID()}?`;
  const fault = { kind: 'latency', ms: answerAfterMs } as const;
  await flow.simulator.script({ match: { inputIncludes: question }, fault });
  return fetch(`${apiUrl}/v1/runs`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': randomUUID(), ...headers },
    body: JSON.stringify({ workflow, input: { question } }),
  });
}

async function notReady(app: AppProcess): Promise<void> {
  const told = await readinessOnce(await originOf(app), 'draining', 'down', /draining/);
  expect(told.http).toBe(503);
}

function expectNothingLeftOpen(app: AppProcess): void {
  expect(app.output()).toContain('drained');
  expect(app.output()).not.toContain('left open');
}

async function expectPaidOnce(runId: string): Promise<void> {
  expect(Object.values(await flow.simulator.chargesOf(runId))).toEqual([1]);
  expect(await flow.simulator.callsOf(runId)).toHaveLength(1);
}

/** Whether the processors' group has committed the run's request. */
async function isCommitted(runId: string): Promise<boolean> {
  const [request] = flow.watch.of(topics.runRequested, runId);
  const committed = await flow.watch.committed(consumerGroups.admitRuns, [topics.runRequested]);
  const position = committed.get(placeOf(topics.runRequested, request!.partition)) ?? 0n;
  return position > BigInt(request!.offset);
}

/** For longer than a lease that was taken before that time. */
async function isLeasedFor(runId: string, since: Date): Promise<boolean> {
  const { rows } = await flow.database.query<{ leased: boolean }>(
    `SELECT lease_until > $2::timestamptz + interval '12 s' AS leased FROM processor.executions WHERE run_id = $1`,
    [uuidOf(runId as RunId), since],
  );
  return rows[0]?.leased === true;
}

/** Who carried the run, in order, and how it left each. */
async function workersOf(runId: string): Promise<object[]> {
  const { rows } = await flow.database.query<{ worker: string; outcome: string }>(
    `SELECT worker, outcome FROM processor.attempts WHERE run_id = $1 ORDER BY fence`,
    [uuidOf(runId as RunId)],
  );
  return rows.map(({ worker, outcome }) => ({ pid: Number(worker.split('.').at(-2)), outcome }));
}
