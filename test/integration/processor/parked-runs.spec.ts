/**
 * Runs whose lane takes no calls: how they are parked, told of, left alone, and found again. Real: Postgres, every store of the
 * processor. Nothing stands in: what the gateway says of its lanes is given.
 */
import type { LaneRoom, ShutLane } from '#libs/openai-gateway';
import type { ParkedRun } from '../../../apps/processor/src/execute-runs/outcome.js';
import {
  aDecision,
  aWork,
  openProcessorFixture,
  retryLater,
  type ProcessorFixture,
} from './processor-fixture.js';

let fixture: ProcessorFixture;
beforeAll(async () => {
  fixture = await openProcessorFixture();
});
afterAll(() => fixture.stop());
beforeEach(() => fixture.empty());

const MODEL = 'gpt-5.2';
const because = 'the account has run out of credit';
const parked: ParkedRun = {
  ...{ kind: 'parked', reason: 'outage', because, delayMs: null, attempt: 1, model: MODEL },
};
const shut: LaneRoom = { inAll: null, byModel: new Map([[MODEL, 0]]) };
const allShut: LaneRoom = { inAll: 0, byModel: new Map() };
const roomFor = (runs: number): LaneRoom => ({ inAll: null, byModel: new Map([[MODEL, runs]]) });
const lanes: readonly ShutLane[] = [{ account: 'default', model: null, because, untilMs: null }];

async function aClaimed(owner = 'one') {
  const processor = fixture.processor(owner);
  const work = aWork();
  await processor.admit.admit(work);
  const [claim] = await processor.claims.claim(1);
  return { processor, claim: claim!, runId: work.runId };
}

it('a parked run is ready again in its old place, has lost nothing, and says why it waits', async () => {
  const { processor, claim, runId } = await aClaimed();
  const before = await fixture.row(runId);
  expect(await processor.moves.move(claim, parked)).toBe('written');
  const row = await fixture.row(runId);
  expect(row).toMatchObject({
    ...{ status: 'ready', attempt: 1, tries: 0, parked: true, next_attempt_at: null, owner: null },
    ...{ seq: (before as unknown as { seq: bigint }).seq, first_failed_at: null },
  });
  const [, told] = await fixture.events(runId);
  expect(told).toMatchObject({
    ...{ name: 'RunWaiting', status: 'queued', version: 2 },
    data: { attempt: 1, waiting: { reason: 'outage', until: null, because } },
  });
  const attempts = await fixture.sql('SELECT outcome FROM processor.attempts');
  expect(attempts).toEqual([{ outcome: 'parked' }]);
});

it('a parked run that leaves an accepted call is noted, so that somebody closes it', async () => {
  const { processor, claim, runId } = await aClaimed();
  const other = await aClaimed('two');
  await fixture.insertCall(runId, claim.fence);
  await processor.moves.move(claim, parked);
  await other.processor.moves.move(other.claim, parked);
  expect(await fixture.sql('SELECT run_id FROM processor.call_leftovers')).toEqual([
    { run_id: runId },
  ]);
});

it('a parked run is not claimed while its lane is shut, and is when it is open', async () => {
  const { processor, claim, runId } = await aClaimed();
  await processor.moves.move(claim, parked);
  expect(await processor.claims.claim(10, undefined, shut)).toEqual([]);
  expect(await processor.claims.claim(10, undefined, allShut)).toEqual([]);
  const [again] = await processor.claims.claim(10);
  expect(again?.run).toMatchObject({ run_id: runId, attempt: 1, parked: false });
});

it('a run that is parked for a time is claimed no sooner', async () => {
  const { processor, claim, runId } = await aClaimed();
  await processor.moves.move(claim, { ...parked, reason: 'throttled', delayMs: 60_000 });
  expect(await processor.claims.claim(10)).toEqual([]);
  await fixture.sql(`UPDATE processor.executions SET next_attempt_at = now() WHERE run_id = $1`, [
    runId,
  ]);
  expect(await processor.claims.claim(10)).toHaveLength(1);
});

it('a run waits in the lane of the model that it waits for', async () => {
  const { processor, claim } = await aClaimed();
  await processor.moves.move(claim, { ...parked, model: 'gpt-other' });
  expect(
    await processor.claims.claim(10, undefined, {
      inAll: null,
      byModel: new Map([['gpt-other', 0]]),
    }),
  ).toEqual([]);
  expect(await processor.claims.claim(10, undefined, shut)).toHaveLength(1);
});

it('a shut lane takes no slot from the others', async () => {
  const { processor, claim, runId } = await aClaimed();
  await processor.moves.move(claim, { ...parked, model: 'gpt-other' });
  await fixture.insertReady('default', 5);
  await fixture.sql('UPDATE processor.lanes SET virtual_time = 0');
  const claimed = await processor.claims.claim(1, undefined, shut);
  expect(claimed.map(({ run }) => run.run_id)).toEqual([runId]);
});

it('a lane that has room for two gives two, over all its tenants', async () => {
  await fixture.insertReady('one', 5);
  await fixture.insertReady('other', 5);
  const { claims } = fixture.processor('p');
  expect(await claims.claim(10, undefined, roomFor(2))).toHaveLength(2);
  expect(await claims.claim(10, undefined, { inAll: 3, byModel: new Map() })).toHaveLength(3);
  expect(await claims.claim(10)).toHaveLength(5);
});

it('what another processor had begun is taken up although its lane is shut: a call of it may be open', async () => {
  const { processor, claim, runId } = await aClaimed();
  await fixture.insertReady('default', 3);
  await processor.moves.move(claim, { kind: 'released' });
  const claimed = await processor.claims.claim(10, undefined, shut);
  expect(claimed.map(({ run }) => run.run_id)).toEqual([runId]);
});

it('a parked run can be cancelled; where a call of it may be open an owner closes it first', async () => {
  const { processor, claim, runId } = await aClaimed();
  const other = await aClaimed('two');
  await processor.moves.move(claim, parked);
  await other.processor.moves.move(other.claim, parked);
  await fixture.insertCall(other.runId, 2n);
  await processor.admit.admit(aDecision(runId, 'cancel'));
  await processor.admit.admit(aDecision(other.runId, 'cancel'));
  expect(await fixture.row(runId)).toMatchObject({ status: 'cancelled' });
  expect(await fixture.row(other.runId)).toMatchObject({ status: 'ready', cancel_requested: true });
  const claimed = await processor.claims.claim(10, undefined, allShut);
  expect(claimed.map(({ run }) => run.run_id)).toEqual([other.runId]);
});

it('runs that arrive while their lane is shut say so, once', async () => {
  const processor = fixture.processor('one');
  const work = aWork();
  await processor.admit.admit(work);
  await fixture.sql(`UPDATE processor.executions SET ready_since = now() - interval '2 s'`);
  expect(await processor.announce.announce(10, lanes)).toBe(1);
  expect(await processor.announce.announce(10, lanes)).toBe(0);
  const [told] = await fixture.events(work.runId);
  expect(told).toMatchObject({
    name: 'RunWaiting',
    data: { waiting: { reason: 'outage', because } },
  });
});

it('runs that were told to wait for a worker, before their lane was shut, say so too', async () => {
  const processor = fixture.processor('one');
  const work = aWork();
  await processor.admit.admit(work);
  await fixture.sql(`UPDATE processor.executions SET ready_since = now() - interval '20 s'`);
  expect(await processor.announce.announce(10)).toBe(1);
  const elsewhere = [{ ...lanes[0]!, model: 'gpt-other' }];
  expect(await processor.announce.announce(10, elsewhere)).toBe(0);
  expect(await processor.announce.announce(10, lanes)).toBe(1);
  expect(await processor.announce.announce(10, lanes)).toBe(0);
  const told = await fixture.events(work.runId);
  expect(told.map(({ name }) => name)).toEqual(['RunQueued', 'RunWaiting']);
});

it('what was told of a parked run can be told again, word for word', async () => {
  const { processor, claim, runId } = await aClaimed();
  await processor.moves.move(claim, parked);
  const [, told] = await fixture.events(runId);
  await processor.admit.admit(aWork({ runId, seenVersion: 1 }));
  const again = (await fixture.events(runId)).at(-1);
  expect(again).toMatchObject({ id: told!.id, repeated: true, data: told!.data });
});

it('the deadline ends a run that waits, and leaves one that is begun to its next owner', async () => {
  const late = new Date(Date.now() - 1_000).toISOString();
  const { processor, claim, runId } = await aClaimed();
  const begun = await aClaimed('two');
  await processor.moves.move(claim, parked);
  await begun.processor.moves.move(begun.claim, { kind: 'released' });
  const waiting = aWork();
  await processor.admit.admit(waiting);
  await fixture.sql('UPDATE processor.executions SET deadline_at = $1', [late]);
  expect(await processor.rescue.endLate()).toBe(2);
  for (const id of [runId, waiting.runId])
    expect(await fixture.row(id)).toMatchObject({
      ...{ status: 'failed', failure: { class: 'deadline_exceeded' } },
    });
  expect(await fixture.row(begun.runId)).toMatchObject({ status: 'ready' });
});

it('an outage uses up no time either: what failed before it counts from anew', async () => {
  const { processor, claim, runId } = await aClaimed();
  const failure = retryLater(0).failure;
  const progress = { step: 'a', stepsDone: 0, stepsTotal: 1, itemsDone: null, itemsTotal: null };
  const wait = {
    kind: 'wait_here',
    delayMs: 0,
    attempt: 2,
    reason: 'backoff',
    failure,
    progress,
  } as const;
  await processor.moves.move(claim, wait);
  expect((await fixture.row(runId)).first_failed_at).not.toBeNull();
  await processor.moves.move(claim, parked);
  expect(await fixture.row(runId)).toMatchObject({ first_failed_at: null, attempt: 1 });
});
