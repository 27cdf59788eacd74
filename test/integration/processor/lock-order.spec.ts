/**
 * Real: Postgres, the processor's stores, locks. Stands in: nothing.
 * Everything that writes runs at once, over the same runs, for many rounds: a wrong order of locks shows as a deadlock (40P01),
 * also where a batcher mends it by trying again.
 */
import type { Claim } from '../../../apps/processor/src/execute-runs/claim.js';
import {
  openProcessorFixture,
  progressed,
  retryLater,
  type ProcessorFixture,
} from './processor-fixture.js';

const ROUNDS = 25;
const RUNS = 60;

let fixture: ProcessorFixture;
beforeAll(async () => {
  fixture = await openProcessorFixture();
});
afterAll(() => fixture.stop());

/** A fixed mixture of orders: the same in every run of this spec. */
function shuffled<Item>(items: readonly Item[], seed: number): Item[] {
  const rank = (index: number) => ((index + 1) * 2_654_435_761 * (seed * 2 + 1)) % 1_000_003;
  return items
    .map((item, index) => ({ item, rank: rank(index) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}

it('owners, keepers, rescuers, claims and announcements never wait for each other in a circle', async () => {
  const [one, two] = [fixture.processor('one'), fixture.processor('two')];
  await fixture.insertReady('a', RUNS / 2);
  await fixture.insertReady('b', RUNS / 2);
  let written = 0;
  let renewed = 0;
  for (let round = 0; round < ROUNDS; round++) {
    await fixture.sql(
      `UPDATE processor.executions SET status = 'ready', next_attempt_at = NULL, ready_since = now() - interval '5 s',
         wait_announced = false, owner = NULL, lease_until = NULL, lost_leases = 0`,
    );
    const claims: Claim[] = (
      await Promise.all([one.claims.claim(64), two.claims.claim(64)])
    ).flat();
    for (const { run, fence } of claims.slice(0, 5)) await fixture.insertCall(run.run_id, fence);
    const ours = (owner: string) => claims.filter(({ run }) => run.owner === owner);
    const expired = shuffled(claims, round).slice(0, 10);
    await fixture.expire(...expired.map(({ run }) => run.run_id));
    const answers = await Promise.all(
      [one, two].flatMap((processor, which) => {
        const mine = ours(processor.owner);
        const renew = async (seed: number) => {
          const kept = await processor.leases.renew(shuffled(mine, seed));
          renewed += kept.filter((each) => each.renewed).length;
          return [];
        };
        return [
          renew(round),
          renew(round + 7),
          ...shuffled(mine, round + which).map(async (claim, index) => {
            const { run, fence } = claim;
            const point = { tenant: run.tenant, runId: run.run_id, fence, step: round, item: 0 };
            return Promise.all([
              processor.moves.move(claim, progressed(index)),
              processor.checkPoints.save({ ...point, value: index }),
              processor.moves.move(claim, retryLater(60_000)),
            ]);
          }),
          processor.rescue.rescueExpired().then(() => []),
          processor.rescue.admitOverdue(-60_000).then(() => []),
          processor.announce.announce(100).then(() => []),
          processor.claims.claim(10).then(() => []),
        ];
      }),
    );
    written += answers.flat(2).filter((answer) => answer === 'written' || answer === true).length;
  }
  expect(fixture.sqlStates).toEqual([]);
  expect(written).toBeGreaterThan(ROUNDS * RUNS);
  expect(renewed).toBeGreaterThan(ROUNDS);
});
