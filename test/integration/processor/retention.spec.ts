/** Real: Postgres, the processor's stores. Stands in: time, which is moved in the rows. */
import { randomUUID } from 'node:crypto';
import { jest } from '@jest/globals';
import { ContentStore } from '#libs/content';
import { rulesOf, Sweeper } from '#libs/postgres';
import type { Keep } from '#libs/process';
import {
  neededByExecutions,
  processorRetention,
  type ProcessorStores,
} from '../../../apps/processor/src/schema/index.js';
import { eventually } from '../../support/eventually.js';
import {
  aDecision,
  aWork,
  completed,
  openProcessorFixture,
  type ProcessorFixture,
} from './processor-fixture.js';

const DAY_MS = 86_400_000;
const keepMs = { detailMs: 10 * DAY_MS, runsMs: 40 * DAY_MS, contentMs: DAY_MS };

let fixture: ProcessorFixture;
let sweeper: Sweeper<ProcessorStores, Keep>;
const logged: object[] = [];

beforeAll(async () => {
  fixture = await openProcessorFixture();
  sweeper = sweeperThatKeeps(keepMs);
});
afterAll(() => fixture?.stop());
beforeEach(() => fixture.empty());

function sweeperThatKeeps(keep: Readonly<Record<Keep, number>>, maxRows = 500) {
  const { database } = fixture;
  const contents = new ContentStore(database);
  return new Sweeper({
    database,
    schema: 'processor',
    holder: randomUUID(),
    rules: rulesOf(processorRetention),
    stores: { database, contents, neededUntil: neededByExecutions(database, keep.detailMs) },
    keepMs: keep,
    maxRows,
    log: { info: (fields) => logged.push(fields), warn: (fields) => logged.push(fields) },
  });
}

const sweep = () => sweeper.sweep(new AbortController().signal);
const rowsOf = async (runId: string) => {
  const count = (table: string) =>
    fixture.sql<{ rows: number }>(
      `SELECT count(*)::int AS rows FROM processor.${table} WHERE run_id = $1`,
      [runId],
    );
  const tables = ['executions', 'check_points', 'attempts', 'calls'];
  const counts = await Promise.all(tables.map(count));
  return Object.fromEntries(tables.map((table, at) => [table, counts[at]?.[0]?.rows]));
};

/** Through the real stores: admitted, claimed, with a check-point, an attempt and a paid call, and completed. */
async function completedRun(daysAgo: number): Promise<string> {
  const runId = randomUUID();
  const one = fixture.processor('one');
  await one.admit.admit(aWork({ runId }));
  const [claim] = await one.claims.claim(1);
  if (!claim) throw new Error('nothing to claim');
  await fixture.sql(
    `INSERT INTO processor.check_points (tenant, run_id, step, item, value) VALUES ('default', $1, 0, 0, 'x')`,
    [runId],
  );
  await fixture.insertCall(runId, claim.fence);
  await fixture.sql(
    `UPDATE processor.calls SET state = 'done', output = 'said by the model', usage = '{}' WHERE run_id = $1`,
    [runId],
  );
  await one.moves.move(claim, completed);
  await endedDaysAgo(runId, daysAgo);
  return runId;
}

const endedDaysAgo = (runId: string, days: number) =>
  fixture.sql(
    `UPDATE processor.executions SET ended_at = now() - $2 * interval '1 day' WHERE run_id = $1`,
    [runId, days],
  );

describe('an ended run', () => {
  it('loses check-points, attempts and what the model said; its calls still say what was paid', async () => {
    const runId = await completedRun(11);
    await sweep();
    expect(await rowsOf(runId)).toEqual({ executions: 1, check_points: 0, attempts: 0, calls: 1 });
    const [call] = await fixture.sql<{ output: Buffer; state: string }>(
      'SELECT output, state FROM processor.calls WHERE run_id = $1',
      [runId],
    );
    expect(call).toEqual({ output: Buffer.alloc(0), state: 'done' });
    expect(await fixture.row(runId)).toMatchObject({
      status: 'completed',
      result_ref: null,
      request: { documents: [], labels: {} },
    });
  });

  it('is not started again by its own message while its tombstone stands, and is gone with its calls after that', async () => {
    const runId = await completedRun(39);
    await sweep();
    const again = await fixture.processor('one').admit.admit(aWork({ runId }));
    expect(again).toMatchObject({ kind: 'settle', because: 'duplicate' });
    await endedDaysAgo(runId, 41);
    await sweep();
    expect(await rowsOf(runId)).toEqual({ executions: 0, check_points: 0, attempts: 0, calls: 0 });
  });

  it('keeps all of it until then', async () => {
    const runId = await completedRun(9);
    await sweep();
    expect(await rowsOf(runId)).toEqual({ executions: 1, check_points: 1, attempts: 1, calls: 1 });
  });
});

it('a note on what an ended run has spent goes with the tombstone', async () => {
  const runId = await completedRun(11);
  await fixture.sql(`INSERT INTO processor.unsettled_runs (run_id, told) VALUES ($1, '[]')`, [
    runId,
  ]);
  const noted = () => fixture.sql('SELECT run_id FROM processor.unsettled_runs');
  await sweep();
  expect(await noted()).toEqual([{ run_id: runId }]);
  await endedDaysAgo(runId, 41);
  await sweep();
  expect(await noted()).toEqual([]);
});

it('an effect of an ended run loses what it said and was answered, and goes with the tombstone', async () => {
  const runId = await completedRun(11);
  await fixture.sql(
    `INSERT INTO processor.effects (effect_id, tenant, run_id, step, target, idempotent, state, http_status, body, answer)
     VALUES (gen_random_uuid(), 'default', $1, 1, 'crm', true, 'done', 200, 'what was said', 'what was answered')`,
    [runId],
  );
  const left = () => fixture.sql('SELECT state, body, answer FROM processor.effects');
  await sweep();
  expect(await left()).toEqual([{ state: 'done', body: Buffer.alloc(0), answer: null }]);
  await endedDaysAgo(runId, 41);
  await sweep();
  expect(await left()).toEqual([]);
});

it('what was decided about a run goes with its tombstone, and about a run that never came by its own age', async () => {
  const [runId, never] = [await completedRun(39), randomUUID()];
  const { admit } = fixture.processor('one');
  await admit.admit(aDecision(runId, 'cancel'));
  await admit.admit(aDecision(never, 'cancel'));
  await fixture.sql('INSERT INTO processor.call_stops (run_id) VALUES ($1)', [runId]);
  const left = () =>
    fixture.sql(
      `SELECT run_id FROM processor.decisions UNION ALL SELECT run_id FROM processor.call_stops`,
    );
  await sweep();
  expect(await left()).toHaveLength(3);
  await endedDaysAgo(runId, 41);
  await sweep();
  expect(await left()).toEqual([{ run_id: never }]);
  await fixture.sql(`UPDATE processor.decisions SET received_at = now() - interval '41 days'`);
  await sweep();
  expect(await left()).toEqual([]);
});

it('a run that has not ended keeps everything, however old it is', async () => {
  const runId = randomUUID();
  await fixture.processor('one').admit.admit(aWork({ runId }));
  await fixture.sql(`UPDATE processor.executions SET admitted_at = now() - interval '9 years'`);
  await sweep();
  expect(await fixture.row(runId)).toMatchObject({
    status: 'ready',
    request: { inputRef: 'cnt_input' },
  });
});

it('kept for ever means that nothing goes', async () => {
  const runId = await completedRun(4_000);
  const signal = new AbortController().signal;
  expect(await sweeperThatKeeps({ detailMs: 0, runsMs: 0, contentMs: 0 }).sweep(signal)).toBe(0);
  expect(await rowsOf(runId)).toEqual({ executions: 1, check_points: 1, attempts: 1, calls: 1 });
});

it('a result stays for as long as its run has detail here, though the api never heard of it', async () => {
  const contents = new ContentStore(fixture.database);
  const { ref } = await contents.put('default', Buffer.from('{"answer":1}'), {
    mediaType: 'text/plain',
  });
  const runId = await completedRun(1);
  await fixture.sql('UPDATE processor.executions SET result_ref = $2 WHERE run_id = $1', [
    runId,
    ref,
  ]);
  const hoursPass = (hours: number) =>
    fixture.sql(
      `UPDATE content.contents SET needed_by_api = NULL, needed_by_processor = needed_by_processor - $1 * interval '1 hour'`,
      [hours],
    );
  await hoursPass(25);
  await sweep();
  expect(await contents.collectLetGo()).toBe(0);
  await endedDaysAgo(runId, 11);
  await hoursPass(24 * 8);
  await sweep();
  expect(await contents.collectLetGo()).toBe(1);
});

describe('a sweep', () => {
  const insertEnded = (runs: number) =>
    fixture.sql(
      `INSERT INTO processor.executions (run_id, tenant, model, priority, workflow, workflow_version, request, origin, status,
         dispatch, max_attempts, ended_at)
       SELECT gen_random_uuid(), 'default', 'gpt-5.2', 1, 'answer', 1, '{}', '{}', 'completed', 1, 5,
         now() - interval '11 days' FROM generate_series(1, $1)`,
      [runs],
    );
  const left = async () =>
    (await fixture.sql('SELECT FROM processor.executions WHERE expired_at IS NULL')).length;

  it('goes on in batches until all is done, and tells how much it was', async () => {
    await insertEnded(25);
    logged.length = 0;
    await sweeperThatKeeps(keepMs, 10).sweep(new AbortController().signal);
    expect(await left()).toBe(0);
    expect(logged).toContainEqual(expect.objectContaining({ rows: 25 }));
  });

  it('stops after the batch in hand when it is told to', async () => {
    await insertEnded(25);
    const stop = new AbortController();
    const small = sweeperThatKeeps(keepMs, 10);
    const query = jest
      .spyOn(fixture.database, 'transaction')
      .mockImplementationOnce(async (work) => {
        stop.abort();
        query.mockRestore();
        return fixture.database.transaction(work);
      });
    await small.sweep(stop.signal);
    expect(await left()).toBe(15);
  });

  it('passes over rows that somebody holds, instead of waiting for them', async () => {
    const held = await completedRun(11);
    const other = await completedRun(11);
    const two = fixture.processor('two');
    await two.database.transaction(async (tx) => {
      await tx.query('SELECT FROM processor.executions WHERE run_id = $1 FOR UPDATE', [held]);
      await sweep();
    });
    expect([await rowsOf(held), await rowsOf(other)]).toMatchObject([
      { attempts: 1 },
      { attempts: 0 },
    ]);
  });

  it('is done by one processor at a time, and by the next one when that one stops', async () => {
    const [first, second] = [sweeperThatKeeps(keepMs), sweeperThatKeeps(keepMs)];
    const leaders = async () =>
      (await fixture.sql(`SELECT FROM processor.leases WHERE name = 'sweeper' AND until > now()`))
        .length;
    await insertEnded(5);
    first.start();
    second.start();
    await eventually('a leader has swept', async () => (await left()) === 0);
    expect(await leaders()).toBe(1);
    await first.stop();
    await second.stop();
    expect(await leaders()).toBe(0);
  });
});
