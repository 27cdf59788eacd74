/** Real: Postgres, and its clock. Stands in: nothing; several holders over one row play several processes. */
import { takeShare, type Ask, type PoolLimits, type Share } from '#libs/openai-gateway';
import type { Database } from '#libs/postgres';
import { gatewayDatabase } from '../../support/gateway.js';

let database: Database;
let drop: () => Promise<void>;
beforeAll(async () => {
  ({ database, drop } = await gatewayDatabase(8));
});
afterAll(() => drop?.());

let pools = 0;
/**
 * A pool of its own for each spec: 1,000 requests and 100,000 tokens in 100,000 s, of which 80 % are used. So slow, that what a spec
 * itself takes of time refills nothing: 8 requests and 800 tokens come with every 1,000 s that are made to have passed.
 */
const aPool = (changes: Partial<PoolLimits> = {}): PoolLimits => ({
  ...{ account: 'default', pool: `pool-${(pools += 1)}`, tier: 'default', models: ['gpt-5.2'] },
  ...{ requests: 1_000, tokens: 100_000, windowMs: 100_000_000, inFlight: 100 },
  ...changes,
});

const nothingTold = {
  limitRequests: null,
  limitTokens: null,
  leftRequests: null,
  leftTokens: null,
};
const nothing = { requests: 0, tokens: 0 };
const take = (pool: PoolLimits, ask: Partial<Ask> = {}, holder = 'one'): Promise<Share> =>
  takeShare(database, pool, holder, {
    ...{ giveBack: nothing, want: nothing, slots: { inUse: 0, want: 0 }, told: nothingTold },
    ...{ urgent: nothing, holdMs: null, overloadedAgoMs: null },
    ...ask,
  });
/** As if so much time had passed for the pool. */
const later = ({ pool }: PoolLimits, seconds: number) =>
  database.query(
    `UPDATE processor.limit_buckets SET refilled_at = refilled_at - $2 * interval '1 s',
       held_until = held_until - $2 * interval '1 s', eased_at = eased_at - $2 * interval '1 s',
       holders = (SELECT coalesce(jsonb_object_agg(key, value || jsonb_build_object('until', (value ->> 'until')::float8 - $2)), '{}')
                  FROM jsonb_each(holders)) WHERE pool = $1`,
    [pool, seconds],
  );
const all = { requests: 1e9, tokens: 1e9 };

describe('the buckets of a pool', () => {
  it('begin full at 80 % of what is set, and refill with time, up to that', async () => {
    const pool = aPool();
    expect(await take(pool, { want: all })).toMatchObject({ requests: 800, tokens: 80_000 });
    expect(await take(pool, { want: all })).toMatchObject({ requests: 0 });
    await later(pool, 10_000);
    const { requests, tokens } = await take(pool, { want: all });
    expect([requests, Math.round(tokens / 1_000)]).toEqual([80, 8]);
    await later(pool, 1_000_000);
    expect(await take(pool, { want: all })).toMatchObject({ requests: 800, tokens: 80_000 });
  });

  it('never give more than they hold, whoever asks at once', async () => {
    const pool = aPool();
    await take(pool);
    const startedAtMs = performance.now();
    const asks = Array.from({ length: 200 }, (_, n) =>
      take(pool, { want: { requests: 7, tokens: 900 } }, `process-${n % 8}`),
    );
    const shares = await Promise.all(asks);
    const seconds = (performance.now() - startedAtMs) / 1_000;
    const sum = (kind: 'requests' | 'tokens') =>
      shares.reduce((total, share) => total + share[kind], 0);
    expect(sum('requests')).toBeGreaterThanOrEqual(800);
    expect(sum('requests')).toBeLessThanOrEqual(800 + 0.008 * seconds + 1);
    expect(sum('tokens')).toBeLessThanOrEqual(80_000 + 0.8 * seconds + 1);
  });

  it('take back what was not used, and what was used beyond the reservation is owed', async () => {
    const pool = aPool();
    await take(pool, { want: all });
    await take(pool, { giveBack: { requests: 100, tokens: -5_000 } });
    expect(await take(pool, { want: all })).toMatchObject({ requests: 100, tokens: 0 });
    await later(pool, 5_000);
    expect((await take(pool, { want: all })).tokens).toBe(0);
    await later(pool, 5_000);
    expect((await take(pool, { want: all })).tokens).toBeGreaterThan(2_000);
  });

  it('are not made fuller by what is given back twice, or by what nobody had', async () => {
    const pool = aPool();
    await take(pool, { giveBack: all });
    expect(await take(pool, { want: all })).toMatchObject({ requests: 800, tokens: 80_000 });
  });

  it('hold no limit where none is known, and learn one from headers', async () => {
    const pool = aPool({ requests: null, tokens: null });
    expect(await take(pool, { want: all })).toMatchObject({
      ...{ requests: Infinity, tokens: Infinity, size: { requests: Infinity, tokens: Infinity } },
    });
    const told = { ...nothingTold, limitRequests: 500 };
    const share = await take(pool, { want: all, told });
    expect(share).toMatchObject({ requests: 400, tokens: Infinity, size: { requests: 400 } });
  });

  it('always let a call through in the end, however small the limit', async () => {
    const pool = aPool({ requests: 1, tokens: null, windowMs: 1_000 });
    expect(await take(pool, { want: all })).toMatchObject({ requests: 1 });
    await later(pool, 1.3);
    expect(await take(pool, { want: all })).toMatchObject({ requests: 1 });
  });
});

describe('a tenant that has nothing on its way', () => {
  /** What a process lacks is kept for it for 10 s: within them the bucket has to gain it. */
  const refills = { windowMs: 100_000 };

  it('is left what its next call lacks, until its process has it', async () => {
    const pool = aPool(refills);
    await take(pool, { want: all });
    const urgent = { requests: 1, tokens: 4_000 };
    await take(pool, { want: urgent, urgent, slots: { inUse: 0, want: 1 } }, 'two');
    await later(pool, 3);
    expect(await take(pool, { want: all })).toMatchObject({ tokens: 0 });
    await later(pool, 3);
    const share = await take(pool, { want: urgent, urgent, slots: { inUse: 0, want: 1 } }, 'two');
    expect(share).toMatchObject({ requests: 1, tokens: 4_000 });
    expect((await take(pool, { want: all })).tokens).toBeGreaterThan(500);
  });

  it('is not held up by another such tenant', async () => {
    const pool = aPool(refills);
    await take(pool, { want: all });
    const urgent = { requests: 1, tokens: 4_000 };
    const ask = { want: urgent, urgent, slots: { inUse: 0, want: 1 } };
    await take(pool, ask, 'two');
    await later(pool, 6);
    expect(await take(pool, ask, 'three')).toMatchObject({ requests: 1, tokens: 4_000 });
  });
});

describe("OpenAI's word", () => {
  it('lowers the limit, never raises it above what is set, and is taken back by the next one', async () => {
    const pool = aPool();
    await take(pool, { told: { ...nothingTold, limitRequests: 500, limitTokens: 50_000 } });
    expect(await take(pool)).toMatchObject({ size: { requests: 400, tokens: 40_000 } });
    await take(pool, { told: { ...nothingTold, limitRequests: 9_000, limitTokens: 900_000 } });
    expect(await take(pool)).toMatchObject({ size: { requests: 800, tokens: 80_000 } });
  });

  it('of what is left empties the bucket down to that, and fills nothing', async () => {
    const pool = aPool();
    const told = { ...nothingTold, leftRequests: 3, leftTokens: 1e9 };
    expect(await take(pool, { want: all, told })).toMatchObject({ requests: 3, tokens: 80_000 });
    const other = aPool();
    const little = { ...nothingTold, leftRequests: 1e9, leftTokens: 500 };
    expect(await take(other, { want: all, told: little })).toMatchObject({
      ...{ requests: 800, tokens: 500 },
    });
  });

  it('holds the pool for all, until its time', async () => {
    const pool = aPool();
    await take(pool, { holdMs: 20_000 });
    const held = await take(pool, { want: all }, 'two');
    expect(held).toMatchObject({ requests: 0, tokens: 0 });
    expect(held.holdMs).toBeGreaterThan(19_000);
    await later(pool, 21);
    expect(await take(pool, { want: all }, 'two')).toMatchObject({ requests: 800, holdMs: 0 });
  });

  it('that it is overloaded halves rate and slots once for all that had left, and they grow by half in 15 minutes', async () => {
    const pool = aPool();
    await take(pool, { slots: { inUse: 60, want: 60 } });
    const [once] = [await take(pool, { overloadedAgoMs: 5_000, slots: { inUse: 60, want: 60 } })];
    expect(once).toMatchObject({ size: { requests: 400 }, slotsOfFleet: 30 });
    const again = await take(
      pool,
      { overloadedAgoMs: 5_000, slots: { inUse: 30, want: 60 } },
      'two',
    );
    expect(again.size.requests).toBeCloseTo(400, 0);
    await later(pool, 900);
    const grown = await take(pool);
    expect(grown.size.requests).toBeCloseTo(600, 0);
    expect(grown.slotsOfFleet).toBeCloseTo(45, 0);
    await later(pool, 36_000);
    expect(await take(pool)).toMatchObject({ size: { requests: 800 }, slotsOfFleet: 100 });
  });

  it('however often it is overloaded, a sixteenth of the rate and eight slots stay', async () => {
    const pool = aPool();
    for (let n = 0; n < 12; n += 1)
      await take(pool, { overloadedAgoMs: 0, slots: { inUse: 1, want: 1 } });
    const { size, slotsOfFleet } = await take(pool);
    expect(size.requests).toBeCloseTo(50, 0);
    expect(slotsOfFleet).toBeCloseTo(8, 0);
  });
});

describe('the slots of a pool', () => {
  const want = (slots: number, inUse = 0): Partial<Ask> => ({ slots: { inUse, want: slots } });

  it('are never more than it has, and an even part is kept for everyone who wants them', async () => {
    const pool = aPool({ inFlight: 12 });
    expect((await take(pool, want(20), 'one')).slots).toBe(12);
    expect((await take(pool, want(20), 'two')).slots).toBe(0);
    expect((await take(pool, want(20, 12), 'one')).slots).toBe(12); // on their way: nobody can take them
    expect((await take(pool, want(20, 4), 'one')).slots).toBe(6);
    expect((await take(pool, want(20), 'two')).slots).toBe(6);
    expect((await take(pool, want(2), 'two')).slots).toBe(2);
    expect((await take(pool, want(20, 4), 'one')).slots).toBe(10);
  });

  it('of a process that has died come back', async () => {
    const pool = aPool({ inFlight: 12 });
    await take(pool, want(12, 12), 'dead');
    expect((await take(pool, want(5), 'one')).slots).toBe(0);
    await later(pool, 10);
    expect(await take(pool, want(5), 'one')).toMatchObject({ slots: 5, holders: 1 });
  });

  it('are never given twice, whoever asks at once', async () => {
    const pool = aPool({ inFlight: 50 });
    const held = new Map<string, number>();
    for (let round = 0; round < 10; round += 1) {
      const processes = Array.from({ length: 8 }, (_, n) => `process-${n}`);
      await Promise.all(
        processes.map(async (holder, n) => {
          const inUse = Math.min(held.get(holder) ?? 0, round * n);
          held.set(holder, (await take(pool, want(5 + round * n, inUse), holder)).slots);
        }),
      );
      const { rows } = await database.query<{ slots: number }>(
        `SELECT sum((value ->> 'slots')::float8) AS slots FROM processor.limit_buckets, jsonb_each(holders) WHERE pool = $1`,
        [pool.pool],
      );
      expect(rows[0]?.slots).toBeLessThanOrEqual(50);
    }
  });
});
