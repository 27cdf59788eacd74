/**
 * What ended runs left at OpenAI is closed and booked by any processor, whoever had the run.
 * Real: Postgres, HTTP, the openai SDK. Stands in: OpenAI (dev/simulator); how the runs ended is in run-moves.spec.ts.
 */
import {
  callIdOf,
  noteLeftovers,
  takeLeftovers,
  type ModelCallRequest,
} from '#libs/openai-gateway';
import { silentLog } from '#libs/process';
import { LeftoverWorker } from '../../../apps/processor/src/close-calls/leftover-worker.js';
import { WaitingCallsStore } from '../../../apps/processor/src/close-calls/waiting-calls.store.js';
import type { Fault } from '../../../dev/simulator/faults.js';
import { anOwner, aRequest, gatewayFixture, until } from '../../support/gateway.js';

const fixture = gatewayFixture('migrated');
const { rowOf } = fixture;
const workers: LeftoverWorker[] = [];
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));
});

/** A call that was accepted, and whose owner is gone. */
async function leftCall(fault: Fault, changes: Partial<ModelCallRequest> = {}) {
  const request = aRequest(changes);
  fixture.script(request, fault);
  const owner = anOwner();
  const gateway = fixture.gateway({}, { anchors: { for: 'background' } });
  const outcome = gateway.callModel(request, owner);
  await until('accepted', async () => (await rowOf(request)).state === 'accepted');
  owner.stop();
  await outcome;
  return request;
}

/** As the transaction does that ends the run; and a minute later. */
async function endRun({ runId }: ModelCallRequest): Promise<void> {
  await fixture.database.transaction((tx) => noteLeftovers(tx, [runId]));
  await fixture.database.query(`UPDATE processor.call_leftovers SET due_at = now()`);
}

function startWorker(): void {
  const gateway = fixture.gateway({ cancelGraceMs: 200 }, { anchors: { for: 'background' } });
  const { database } = fixture;
  const waiting = new WaitingCallsStore(database);
  const worker = new LeftoverWorker({ database, gateway, waiting, log: silentLog, everyMs: 20 });
  workers.push(worker);
  worker.start();
}

const noted = async ({ runId }: ModelCallRequest) =>
  (await fixture.database.query(`SELECT FROM processor.call_leftovers WHERE run_id = $1`, [runId]))
    .rowCount;

it('a call that goes on is cancelled at OpenAI and ended', async () => {
  const request = await leftCall({ kind: 'latency', ms: 60_000 });
  await endRun(request);
  startWorker();
  await until('closed', async () => (await rowOf(request)).state === 'cancelled');
  expect(fixture.chargesOf(request)).toBe(0);
});

it('a call that has ended meanwhile is booked with what it used', async () => {
  const request = await leftCall({ kind: 'latency', ms: 60_000 });
  fixture.simulator.finish();
  await endRun(request);
  startWorker();
  startWorker();
  await until('booked', async () => (await rowOf(request)).state === 'done');
  expect((await rowOf(request)).usage).toMatchObject({ totalTokens: expect.any(Number) as number });
});

it('a conversation whose process died is removed, then nothing is left of the run', async () => {
  const request = aRequest();
  await fixture.gateway().callModel(request, anOwner());
  const made = await fetch(`${fixture.simulator.baseUrl}/conversations`, {
    ...{ method: 'POST', headers: { authorization: 'Bearer sk-spec' }, body: '{}' },
  });
  const { id } = (await made.json()) as { id: string };
  await fixture.database.query(`UPDATE processor.calls SET anchor = $2 WHERE call_id = $1`, [
    ...[callIdOf(request), id],
  ]);
  const before = fixture.simulator.conversations();
  await endRun(request);
  startWorker();
  await until('removed', () => fixture.simulator.conversations() === before - 1);
  await until('forgotten', async () => (await rowOf(request)).anchor === null);
  await fixture.database.query(`UPDATE processor.call_leftovers SET due_at = now()`);
  await until('settled', async () => (await noted(request)) === 0);
});

it('a run that leaves nothing is not noted', async () => {
  const request = aRequest();
  await fixture.gateway().callModel(request, anOwner());
  await endRun(request);
  expect(await noted(request)).toBe(0);
});

const aRunThat = async (status: string, parked: boolean, { runId }: ModelCallRequest) =>
  fixture.database.query(
    `INSERT INTO processor.executions (run_id, tenant, model, priority, workflow, workflow_version, request, origin, status,
       parked, dispatch, max_attempts, owner, lease_until, failure)
     VALUES ($1, 'default', 'gpt-5.2', 0, 'answer', 1, '{}', '{}', $2, $3, 1, 5,
       CASE WHEN $2 = 'running' THEN 'one' END, CASE WHEN $2 = 'running' THEN now() + interval '1 h' END,
       CASE WHEN $2 = 'needs_review' THEN '{"class":"timeout"}'::json END)`,
    [runId, status, parked],
  );

describe('of a run that has not ended, a call that nobody follows', () => {
  it.each([
    ['is closed while it is parked', 'ready', true],
    ['is closed while a person decides', 'needs_review', false],
  ] as const)('%s', async (_, status, parked) => {
    const request = await leftCall({ kind: 'latency', ms: 60_000 });
    await aRunThat(status, parked, request);
    await endRun(request);
    startWorker();
    await until('closed', async () => (await rowOf(request)).state === 'cancelled');
    await until('settled', async () => (await noted(request)) === 0);
  });

  it.each([
    ['is left to the owner that has it again', 'running'],
    ['is left to the next claim where it is ready', 'ready'],
  ] as const)('%s', async (_, status) => {
    const request = await leftCall({ kind: 'latency', ms: 60_000 });
    await aRunThat(status, false, request);
    await endRun(request);
    startWorker();
    await until('settled', async () => (await noted(request)) === 0);
    expect((await rowOf(request)).state).toBe('accepted');
  });
});

it('the accepted calls of a run are closed only while it waits, and no others of it', async () => {
  const request = await leftCall({ kind: 'latency', ms: 60_000 });
  const lost = { ...request, item: 1 };
  fixture.script(lost, { kind: 'reset_after_charge' });
  await fixture.gateway().callModel(lost, anOwner());
  await aRunThat('needs_review', false, request);
  const waiting = new WaitingCallsStore(fixture.database);
  const accepted = await waiting.acceptedOf(request.runId);
  expect(accepted.map(({ callId }) => callId)).toEqual([callIdOf(request)]);
  await fixture.database.query(
    `UPDATE processor.executions SET status = 'running', owner = 'one', lease_until = now() + interval '1 h'
     WHERE run_id = $1`,
    [request.runId],
  );
  expect(await waiting.acceptedOf(request.runId)).toEqual([]);
});

it('what one processor has taken no other takes before its time', async () => {
  const request = await leftCall({ kind: 'latency', ms: 60_000 });
  await endRun(request);
  const take = () => takeLeftovers(fixture.database, 10, 60_000);
  const taken = [...(await take()), ...(await take())].map(({ runId }) => runId);
  expect(taken.filter((runId) => runId === request.runId)).toHaveLength(1);
});

it('a call whose cancel is not confirmed is looked at again, and not for ever', async () => {
  const request = await leftCall({ kind: 'latency', ms: 60_000 });
  const { runId } = request;
  const refused = { kind: 'status', status: 500 } as const;
  const match = { operation: 'cancel', runId } as const;
  fixture.simulator.addFaults([{ match, fault: refused, times: 'always' }]);
  await endRun(request);
  startWorker();
  const looks = async () => {
    const { rows } = await fixture.database.query<{ looks: number; waits: boolean }>(
      `SELECT looks, due_at < now() + interval '61 s' AND due_at > now() AS waits
       FROM processor.call_leftovers WHERE run_id = $1`,
      [runId],
    );
    return rows[0];
  };
  await until('put off', async () => (await looks())?.waits === true);
  expect((await rowOf(request)).state).toBe('accepted');
  await fixture.database.query(
    `UPDATE processor.call_leftovers SET looks = 9, due_at = now() WHERE run_id = $1`,
    [runId],
  );
  await until('given up', async () => (await noted(request)) === 0);
});
