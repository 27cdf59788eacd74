/** Real: Postgres, the processor's stores. Stands in: nothing. */
import type { Claim } from '../../../apps/processor/src/execute-runs/claim.js';
import {
  aWork,
  completed,
  openProcessorFixture,
  type ProcessorFixture,
  type SpecProcessor,
} from './processor-fixture.js';

let fixture: ProcessorFixture;
let one: SpecProcessor;
let two: SpecProcessor;
let runId: string;
let claim: Claim;

beforeAll(async () => {
  fixture = await openProcessorFixture();
  [one, two] = [fixture.processor('one'), fixture.processor('two')];
});
afterAll(() => fixture.stop());
beforeEach(async () => {
  await fixture.empty();
  ({ runId } = aWork());
  await one.admit.admit(aWork({ runId }));
  [claim] = (await one.claims.claim(1)) as [Claim];
});

const save = (owner: SpecProcessor, { fence }: Claim, item: number, value: unknown, step = 0) =>
  owner.checkPoints.save({ tenant: 'default', runId, fence, step, item, value });

async function takenOver(): Promise<Claim> {
  await fixture.expire(runId);
  await two.rescue.rescueExpired();
  return ((await two.claims.claim(1)) as [Claim])[0];
}

describe('what is finished of a run', () => {
  it('is kept by step and item, whatever text it holds', async () => {
    const value = { text: 'a\0b \ud800 ü', rows: [1, null] };
    await Promise.all([
      save(one, claim, 0, value),
      save(one, claim, 7, 'x'),
      save(one, claim, 0, [], 1),
    ]);
    const saved = await two.checkPoints.load(runId);
    expect(saved.get(0)?.get(0)).toEqual(value);
    expect([...saved.get(0)!.keys()].sort()).toEqual([0, 7]);
    expect(saved.get(1)?.get(0)).toEqual([]);
  });

  it('is kept once: a second save keeps the first', async () => {
    expect(await save(one, claim, 0, 'first')).toBe(true);
    expect(await save(one, claim, 0, 'second')).toBe(true);
    expect((await one.checkPoints.load(runId)).get(0)?.get(0)).toBe('first');
  });

  it('is saved by nobody who has lost the run', async () => {
    const newer = await takenOver();
    expect(await save(one, claim, 0, 'stale')).toBe(false);
    expect(await save(two, newer, 1, 'fresh')).toBe(true);
    expect([...(await two.checkPoints.load(runId)).get(0)!.values()]).toEqual(['fresh']);
  });

  it('is saved by nobody between the loss and the next claim, nor after the end', async () => {
    await fixture.expire(runId);
    expect(await save(one, claim, 0, 'late, but nobody took it')).toBe(true);
    await two.rescue.rescueExpired();
    expect(await save(one, claim, 1, 'stale')).toBe(false);
    const [newer] = (await two.claims.claim(1)) as [Claim];
    await two.moves.move(newer, completed);
    expect(await save(two, newer, 2, 'after the end')).toBe(false);
    expect([...(await two.checkPoints.load(runId)).get(0)!.keys()]).toEqual([0]);
  });

  it('of one run is refused without harm to that of another in the same batch', async () => {
    const other = aWork();
    await one.admit.admit(other);
    const [others] = (await one.claims.claim(1)) as [Claim];
    await takenOver();
    const both = await Promise.all([
      save(one, claim, 0, 'stale'),
      one.checkPoints.save({
        tenant: 'default',
        runId: other.runId,
        fence: others.fence,
        step: 0,
        item: 0,
        value: 1,
      }),
    ]);
    expect(both).toEqual([false, true]);
  });

  it('counts as progress: leases lost before it are forgotten', async () => {
    const newer = await takenOver();
    expect((await fixture.row(runId)).lost_leases).toBe(1);
    await save(one, claim, 0, 'stale');
    expect((await fixture.row(runId)).lost_leases).toBe(1);
    await save(two, newer, 0, 'fresh');
    expect((await fixture.row(runId)).lost_leases).toBe(0);
  });

  it('changes neither version nor fence, and tells nobody', async () => {
    const before = await fixture.row(runId);
    await save(one, claim, 0, 'x');
    expect(await fixture.row(runId)).toEqual(before);
    expect(await fixture.events(runId)).toHaveLength(1);
  });
});
