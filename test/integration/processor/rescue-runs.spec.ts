/** Real: Postgres and its clock, the processor's stores. Stands in: nothing. */
import { jest } from '@jest/globals';
import type { Claim } from '../../../apps/processor/src/execute-runs/claim.js';
import {
  aWork,
  dispatchOf,
  openProcessorFixture,
  retryLater,
  type ProcessorFixture,
  type SpecProcessor,
} from './processor-fixture.js';

let fixture: ProcessorFixture;
let one: SpecProcessor;
let two: SpecProcessor;
let runId: string;

beforeAll(async () => {
  fixture = await openProcessorFixture();
  [one, two] = [fixture.processor('one'), fixture.processor('two')];
});
afterAll(() => fixture.stop());
afterEach(() => void jest.restoreAllMocks());
beforeEach(async () => {
  await fixture.empty();
  ({ runId } = aWork());
  await one.admit.admit(aWork({ runId }));
});

const claimIt = async (by: SpecProcessor) => ((await by.claims.claim(1)) as [Claim])[0];

/** Claimed, and its owner is gone. */
async function lose(by: SpecProcessor): Promise<Claim> {
  const claim = await claimIt(by);
  await fixture.expire(runId);
  return claim;
}

describe('a lease', () => {
  it("runs out by the database's clock, whatever ours says", async () => {
    await claimIt(one);
    jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 3_600_000);
    expect(await two.rescue.rescueExpired()).toEqual([]);
    jest.spyOn(Date, 'now').mockReturnValue(0);
    await fixture.expire(runId);
    expect(await two.rescue.rescueExpired()).toHaveLength(1);
  });

  it('that is renewed does not run out', async () => {
    const claim = await lose(one);
    expect(await one.leases.renew([claim])).toEqual([
      { runId, mine: true, renewed: true, cancelRequested: false },
    ]);
    expect(await two.rescue.rescueExpired()).toEqual([]);
  });

  it('is renewed for the runs that are named, and for their owner only', async () => {
    const claim = await claimIt(one);
    const named = (fence: bigint) => [{ ...claim, fence }];
    expect(await one.leases.renew(named(7n))).toEqual([
      { runId, mine: false, renewed: false, cancelRequested: false },
    ]);
    expect(await two.leases.renew([claim])).toEqual([
      { runId, mine: false, renewed: false, cancelRequested: false },
    ]);
    const unknown = aWork().runId;
    const gone = { ...claim, run: { ...claim.run, run_id: unknown } };
    expect(await one.leases.renew([gone])).toEqual([
      { runId: unknown, mine: false, renewed: false, cancelRequested: false },
    ]);
    await fixture.expire(runId);
    expect(await one.leases.renew([])).toEqual([]);
    expect(await two.rescue.rescueExpired()).toHaveLength(1);
  });

  it('is still ours while its row is locked, but not renewed', async () => {
    const claim = await claimIt(one);
    await fixture.database.transaction(async (tx) => {
      await tx.query('SELECT FROM processor.executions WHERE run_id = $1 FOR UPDATE', [runId]);
      expect(await one.leases.renew([claim])).toEqual([
        { runId, mine: true, renewed: false, cancelRequested: false },
      ]);
    });
  });
});

describe('a run whose owner is gone', () => {
  it('is ready at once after the first loss, and its owner can neither write nor send', async () => {
    const claim = await lose(one);
    const fenceOfCall = await fixture.insertCall(runId, claim.fence);
    expect(await two.rescue.rescueExpired()).toMatchObject([{ run_id: runId, owner: 'one' }]);
    expect(await fixture.row(runId)).toMatchObject({
      ...{ status: 'ready', owner: null, lease_until: null, lost_leases: 1 },
      ...{ fence: claim.fence + 1n, dispatch: 1, next_attempt_at: null, version: 1 },
    });
    expect(await fenceOfCall()).toBe(claim.fence + 1n);
    expect((await claimIt(two)).fence).toBe(claim.fence + 2n);
    expect(await fenceOfCall()).toBe(claim.fence + 2n);
  });

  it('does not keep others from it where what is to be told of it cannot be told', async () => {
    await lose(one);
    await fixture.insertReady('default', 5);
    const others = await one.claims.claim(5);
    await fixture.expire(...others.map(({ run }) => run.run_id));
    await fixture.sql(
      `UPDATE processor.executions SET lost_leases = 2,
         request = json_build_object('runId', 'run_' || run_id, 'labels', '{}'::json, 'reference', repeat('x', 1000000))
       WHERE run_id = $1`,
      [runId],
    );
    const refused: string[] = [];
    const rescued = await two.rescue.rescueExpired((id) => refused.push(id));
    expect(refused).toEqual([runId]);
    expect(rescued.map(({ run_id }) => run_id).sort()).toEqual(
      others.map(({ run }) => run.run_id).sort(),
    );
    expect(await fixture.row(runId)).toMatchObject({ status: 'running' });
  });

  it('leaves an attempt that tells how it ended', async () => {
    await lose(one);
    await two.rescue.rescueExpired();
    expect(await fixture.sql('SELECT worker, outcome FROM processor.attempts')).toEqual([
      { worker: 'one', outcome: 'lease_lost' },
    ]);
  });

  it('waits for the first retry tier after the second loss', async () => {
    for (const by of [one, two]) {
      await lose(by);
      await one.rescue.rescueExpired();
    }
    expect(await fixture.row(runId)).toMatchObject({
      ...{ status: 'retrying', dispatch: 2, lost_leases: 2, attempt: 1 },
      failure: { class: 'lease_lost' },
    });
    const sent = await fixture.sent(runId);
    expect(sent.map(({ topic }) => topic)).toEqual(['holdfast.run.requested.v1.retry.5s']);
    expect(dispatchOf(sent[0]!)).toEqual({ dispatch: 2, hop: 0 });
  });

  it('goes to a person after the third, with a dead letter', async () => {
    for (const by of [one, two, one]) {
      await fixture.sql(
        `UPDATE processor.executions SET next_attempt_at = now() - interval '1 min' WHERE status = 'retrying'`,
      );
      await one.rescue.admitOverdue(0);
      await fixture.sql('UPDATE processor.executions SET next_attempt_at = NULL');
      await lose(by);
      await two.rescue.rescueExpired();
    }
    expect(await fixture.row(runId)).toMatchObject({
      ...{ status: 'needs_review', lost_leases: 3, owner: null },
      failure: { class: 'lease_lost' },
    });
    const topics = (await fixture.sent(runId)).map(({ topic }) => topic);
    expect(topics.at(-1)).toBe('holdfast.run.requested.v1.dlt');
    expect((await fixture.events(runId)).at(-1)).toMatchObject({ name: 'RunNeedsReview' });
  });

  it('is rescued once, though two rescuers look at once', async () => {
    await fixture.insertReady('default', 60);
    await one.claims.claim(64);
    await fixture.sql(`UPDATE processor.executions SET lease_until = now() - interval '1 s'`);
    const rescued = await Promise.all([
      one.rescue.rescueExpired(),
      two.rescue.rescueExpired(),
      one.rescue.rescueExpired(),
      two.rescue.rescueExpired(),
    ]);
    const ids = rescued.flat().map(({ run_id }) => run_id);
    expect(ids).toHaveLength(61);
    expect(new Set(ids).size).toBe(61);
    const rows = await fixture.sql(
      'SELECT DISTINCT status, fence, lost_leases FROM processor.executions',
    );
    expect(rows).toEqual([{ status: 'ready', fence: 2n, lost_leases: 1 }]);
  });
});

describe('a retry that is overdue', () => {
  async function overdue() {
    const claim = await claimIt(one);
    await one.moves.move(claim, retryLater(5_000));
    await fixture.sql(
      `UPDATE processor.executions SET next_attempt_at = now() - interval '4500 ms'`,
    );
  }

  it('is admitted without its message, once; the message then finds nothing to do', async () => {
    await overdue();
    expect(await one.rescue.admitOverdue(5_000)).toBe(0);
    const both = await Promise.all([
      one.rescue.admitOverdue(4_000),
      two.rescue.admitOverdue(4_000),
    ]);
    expect(both.toSorted()).toEqual([0, 1]);
    const late = aWork({ runId, dispatch: 2 });
    expect(await two.admit.admit(late)).toEqual({ kind: 'settle', because: 'duplicate' });
    const claim = await claimIt(two);
    expect(await one.admit.admit(late)).toEqual({ kind: 'settle', because: 'duplicate' });
    await two.moves.move(claim, retryLater(60_000));
    expect(await one.admit.admit(late)).toEqual({ kind: 'settle', because: 'stale' });
    expect((await fixture.row(runId)).status).toBe('retrying');
  });

  it('is admitted once, though its message comes at the same moment', async () => {
    await overdue();
    await Promise.all([
      one.rescue.admitOverdue(4_000),
      two.admit.admit(aWork({ runId, dispatch: 2 })),
    ]);
    expect(await fixture.row(runId)).toMatchObject({ status: 'ready', dispatch: 2 });
    const claims = await Promise.all([one.claims.claim(5), two.claims.claim(5)]);
    expect(claims.flat()).toHaveLength(1);
  });
});

describe('a run that waits for a worker', () => {
  const waiting = (time: string) =>
    fixture.sql(`UPDATE processor.executions SET ready_since = now() - $1::interval`, [time]);

  it('says so after 15 s, or after one where it has told something before; once per wait', async () => {
    await waiting('14 s');
    expect(await one.announce.announce(10)).toBe(0);
    await waiting('16 s');
    const both = await Promise.all([one.announce.announce(10), two.announce.announce(10)]);
    expect(both.toSorted()).toEqual([0, 1]);
    expect(await one.announce.announce(10)).toBe(0);
    expect(await fixture.events(runId)).toMatchObject([{ name: 'RunQueued', version: 1 }]);
    await lose(one);
    await two.rescue.rescueExpired();
    await waiting('0 s');
    expect(await one.announce.announce(10)).toBe(0);
    await waiting('2 s');
    expect(await one.announce.announce(10)).toBe(1);
    expect((await fixture.events(runId)).map(({ version }) => version)).toEqual([1, 2, 3]);
  });
});
