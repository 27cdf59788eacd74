/** Real: Postgres, the gate of limits. Stands in: OpenAI's answers; several gates over one row play several processes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { FleetLimits, type CallPass, type GateCall, type PoolLimits } from '#libs/openai-gateway';
import { noMetrics } from '#libs/metrics';
import type { Database, Sql } from '#libs/postgres';
import { silentLog } from '#libs/process';
import { eventually } from '../../support/eventually.js';
import { gatewayDatabase } from '../../support/gateway.js';
import { quickestOf } from '../../support/quickest-of.js';

let database: Database;
let drop: () => Promise<void>;
beforeAll(async () => {
  ({ database, drop } = await gatewayDatabase(8));
});
const gates: FleetLimits[] = [];
afterEach(async () => {
  await Promise.all(gates.splice(0).map((gate) => gate.close()));
});
afterAll(() => drop?.());

let numbers = 0;
const next = (name: string) => `${name}-${(numbers += 1)}`;
/** A pool of its own for each spec: no limit but for slots, where none is given. */
const aPool = (changes: Partial<PoolLimits> = {}): PoolLimits => {
  const pool = next('model');
  const none = { requests: null, tokens: null, windowMs: 60_000, inFlight: 1_000 };
  return { account: 'default', pool, tier: 'default', models: [pool], ...none, ...changes };
};

function process(pool: PoolLimits, sql: Sql = database): FleetLimits {
  const parts = { database: sql, holder: next('process'), log: silentLog, metrics: noMetrics };
  const gate = new FleetLimits([pool], parts);
  gates.push(gate);
  return gate;
}

const aCall = (pool: PoolLimits, changes: Partial<GateCall> = {}): GateCall => ({
  ...{ step: 0, item: 0, try: 1 },
  ...{ callId: next('call'), tenant: 'a', runId: 'r', priority: 'interactive', account: 'default' },
  ...{ model: pool.pool, tier: 'default', inputTokens: 100, maxOutputTokens: 1_000 },
  ...changes,
});

const forEver = new AbortController().signal;
async function enter(gate: FleetLimits, call: GateCall): Promise<CallPass> {
  const entrance = await gate.enter(call, forEver);
  if (entrance.kind !== 'entered') throw new Error(`not entered: ${entrance.kind}`);
  return entrance.pass;
}
const usage = (totalTokens: number) => ({
  ...{ inputTokens: 0, cachedInputTokens: 0, outputTokens: 0, reasoningTokens: 0, totalTokens },
});
const completed = { kind: 'completed', usage: usage(500) } as const;

const refused = (status: number, code: string, headers: Record<string, string>) => ({
  ...{ kind: 'refused' as const, status, code, isOpenAis: true, param: null, message: 'no' },
  ...{ headers: new Headers(headers), requestId: null },
});

/** Resolves when the pool's row is so. */
async function untilRow({ pool }: PoolLimits, isSo: string): Promise<void> {
  await eventually(`a row where ${isSo}`, async () => {
    const asked = `SELECT FROM processor.limit_buckets WHERE pool = $1 AND ${isSo}`;
    return (await database.query(asked, [pool])).rowCount > 0;
  });
}

async function slotsHeld({ pool }: PoolLimits): Promise<number> {
  const { rows } = await database.query<{ slots: number }>(
    `SELECT coalesce(sum((value ->> 'slots')::float8), 0) AS slots
     FROM processor.limit_buckets, jsonb_each(holders) WHERE pool = $1`,
    [pool],
  );
  return rows[0]?.slots ?? 0;
}

describe('several processes', () => {
  it('together let in what the bucket holds and gains, and no more', async () => {
    const aimMs = ((320 - 80) / 80) * 1_000 * 1.3;
    const lastMs = await quickestOf(3, aimMs, async () => {
      const pool = aPool({ requests: 100, windowMs: 1_000 });
      const processes = Array.from({ length: 4 }, () => process(pool));
      const startedAtMs = performance.now();
      const enteredAtMs: number[] = [];
      const calls = processes.flatMap((gate, n) =>
        Array.from({ length: 20 + 40 * n }, async () => {
          const pass = await enter(gate, aCall(pool));
          enteredAtMs.push(performance.now() - startedAtMs);
          pass.leave(completed);
        }),
      );
      await Promise.all(calls);
      expect(enteredAtMs).toHaveLength(320);
      for (const [count, atMs] of enteredAtMs.entries())
        expect(count + 1).toBeLessThanOrEqual(80 + 0.08 * atMs + 1);
      return enteredAtMs.at(-1)!;
    });
    expect(lastMs).toBeLessThan(aimMs);
  });

  it('together never have more on their way than there are slots', async () => {
    const pool = aPool({ inFlight: 6 });
    const processes = Array.from({ length: 3 }, () => process(pool));
    let [onTheWay, most] = [0, 0];
    await Promise.all(
      Array.from({ length: 60 }, async (_, n) => {
        const pass = await enter(processes[n % 3]!, aCall(pool));
        most = Math.max(most, (onTheWay += 1));
        await sleep(15);
        onTheWay -= 1;
        pass.leave(completed);
      }),
    );
    expect(most).toBeLessThanOrEqual(6);
  });

  it('give back what they hold when they end', async () => {
    const pool = aPool({ inFlight: 20 });
    const gate = process(pool);
    (await enter(gate, aCall(pool))).leave(completed);
    expect(await slotsHeld(pool)).toBeGreaterThan(0);
    await gate.close();
    expect(await slotsHeld(pool)).toBe(0);
  });

  it('give back what they hold when they have nothing to do for a while', async () => {
    const pool = aPool({ requests: 100, tokens: 100_000 });
    const gate = process(pool);
    (await enter(gate, aCall(pool))).leave(completed);
    await eventually('no slot is held', async () => (await slotsHeld(pool)) === 0);
    const { rows } = await database.query<{ requests_left: number }>(
      'SELECT requests_left FROM processor.limit_buckets WHERE pool = $1',
      [pool.pool],
    );
    expect(rows[0]?.requests_left).toBeGreaterThanOrEqual(79);
  });

  it('give back what they were granted for a call that does not come after all', async () => {
    const pool = aPool({ requests: 100, tokens: 100_000 });
    const gate = process(pool);
    expect(gate.tryEnter(aCall(pool))).toBeNull();
    await eventually('a slot is held for it', async () => (await slotsHeld(pool)) > 0);
    await eventually('no slot is held', async () => (await slotsHeld(pool)) === 0);
  });
});

describe('a call', () => {
  it('needs no statement of its own: many enter with a share that was taken ahead', async () => {
    const pool = aPool({ requests: 6_000_000, tokens: 6_000_000_000 });
    let statements = 0;
    const counting: Sql = {
      query: (...asked) => {
        statements += 1;
        return database.query(...asked);
      },
    };
    const gate = process(pool, counting);
    for (let n = 0; n < 300; n += 1) {
      const passes = [1, 2, 3, 4].map(() => enter(gate, aCall(pool)));
      await sleep(2);
      for (const pass of passes) (await pass).leave(completed);
    }
    expect(statements).toBeLessThan(150);
  });

  it('does not overtake one that waits, though it needs less', async () => {
    const pool = aPool({ tokens: 10_000, windowMs: 50_000 });
    const gate = process(pool);
    const pass = await enter(gate, aCall(pool, { maxOutputTokens: 7_900 }));
    const owner = new AbortController();
    const large = gate.enter(aCall(pool, { maxOutputTokens: 8_000 }), owner.signal);
    await untilRow(pool, 'tokens_left < 100');
    const small = aCall(pool, { inputTokens: 1, maxOutputTokens: 16 });
    expect(gate.tryEnter(small)).toBeNull();
    owner.abort();
    expect(await large).toEqual({ kind: 'aborted' });
    (await enter(gate, small)).leave(completed);
    pass.leave(completed);
  });

  it('of a tenant that comes new goes before the flood of another', async () => {
    const pool = aPool({ requests: 50, windowMs: 1_000 });
    const gate = process(pool);
    const order: string[] = [];
    const go = async (tenant: string) => {
      const pass = await enter(gate, aCall(pool, { tenant }));
      order.push(tenant);
      pass.leave(completed);
    };
    const flood = Array.from({ length: 90 }, () => go('flood'));
    await Promise.all(flood.slice(0, 45));
    const before = order.length;
    await go('single');
    expect(order.indexOf('single') - before).toBeLessThanOrEqual(3);
    await Promise.all(flood);
  });

  it('that asks for more tokens than the bucket holds takes all that it holds', async () => {
    const pool = aPool({ tokens: 1_000, windowMs: 1_000 });
    const gate = process(pool);
    const passes = [];
    const startedAtMs = performance.now();
    for (let n = 0; n < 2; n += 1)
      passes.push(await enter(gate, aCall(pool, { maxOutputTokens: 1e6 })));
    expect(performance.now() - startedAtMs).toBeGreaterThan(900);
    for (const pass of passes) pass.leave(completed);
  });

  it('that was not sent takes nothing', async () => {
    const pool = aPool({ requests: 5, windowMs: 100_000 });
    const gate = process(pool);
    for (let n = 0; n < 20; n += 1) (await enter(gate, aCall(pool))).leave({ kind: 'not_sent' });
  });

  it('that used more than was reserved is followed by as much less', async () => {
    const pool = aPool({ tokens: 10_000, windowMs: 2_000 });
    const gate = process(pool);
    (await enter(gate, aCall(pool))).leave({ kind: 'completed', usage: usage(9_000) });
    const startedAtMs = performance.now();
    (await enter(gate, aCall(pool))).leave(completed);
    expect(performance.now() - startedAtMs).toBeGreaterThan(300);
  });

  it('stops waiting when its owner does', async () => {
    const pool = aPool({ inFlight: 1 });
    const gate = process(pool);
    const pass = await enter(gate, aCall(pool));
    const owner = new AbortController();
    const waiting = gate.enter(aCall(pool), owner.signal);
    expect(gate.facts()).toEqual([{ pool: pool.pool, waiting: 1, inFlight: 1 }]);
    owner.abort();
    expect(await waiting).toEqual({ kind: 'aborted' });
    pass.leave(completed);
    (await enter(gate, aCall(pool))).leave(completed);
  });

  it('waits on while the database is away, and enters when it is back', async () => {
    const pool = aPool({ requests: 100 });
    let failures = 2;
    const failing: Sql = {
      query: (...asked) =>
        (failures -= 1) >= 0 ? Promise.reject(new Error('away')) : database.query(...asked),
    };
    (await enter(process(pool, failing), aCall(pool))).leave(completed);
  });
});

describe('what OpenAI says to one process', () => {
  it('in a 429 holds the pool for all, for as long as it asked', async () => {
    const pool = aPool();
    const [one, two] = [process(pool), process(pool)];
    (await enter(two, aCall(pool))).leave(completed);
    const pass = await enter(one, aCall(pool));
    pass.answered(refused(429, 'rate_limit_exceeded', { 'retry-after-ms': '1500' }));
    pass.leave({ kind: 'left' });
    const heldAtMs = performance.now();
    expect(one.rooms()[0]?.heldForMs).toBeGreaterThan(0);
    await sleep(600); // a share lasts so long
    for (const gate of [one, two]) (await enter(gate, aCall(pool))).leave(completed);
    expect(performance.now() - heldAtMs).toBeGreaterThan(1_400);
  });

  it('of a long wait parks who would have to wait, until then', async () => {
    const pool = aPool({ requests: 1_000 });
    const [one, two] = [process(pool), process(pool)];
    const pass = await enter(one, aCall(pool));
    pass.answered(refused(429, 'rate_limit_exceeded', { 'retry-after': '3600' }));
    await untilRow(pool, 'held_until IS NOT NULL');
    for (const gate of [one, two]) {
      const entrance = await gate.enter(aCall(pool), forEver);
      expect(entrance).toMatchObject({ kind: 'parked', reason: 'throttled' });
      const forMs = entrance.kind === 'parked' ? entrance.untilMs! - Date.now() : 0;
      expect(Math.round(forMs / 10_000)).toBe(60); // never for more than ten minutes
    }
  });

  it('of a limit that takes a day to refill parks who would have to wait', async () => {
    const pool = aPool({ requests: 2, windowMs: 86_400_000 });
    const gate = process(pool);
    (await enter(gate, aCall(pool))).leave(completed);
    expect(await gate.enter(aCall(pool), forEver)).toMatchObject({
      kind: 'parked',
      reason: 'throttled',
    });
  });

  it.each([
    [429, 'slow_down'],
    [503, 'server_is_overloaded'],
  ])('with %i %s halves what all may ask', async (status, code) => {
    const pool = aPool({ requests: 1_000, windowMs: 1_000_000 });
    const gate = process(pool);
    (await enter(gate, aCall(pool))).answered(refused(status, code, {}));
    await untilRow(pool, 'rate_factor = 0.5');
  });

  it('in headers of an answer lowers the limit for all', async () => {
    const pool = aPool({ requests: 10_000, windowMs: 60_000 });
    const [one, two] = [process(pool), process(pool)];
    (await enter(two, aCall(pool))).leave(completed);
    const pass = await enter(one, aCall(pool));
    const headers = { 'x-ratelimit-limit-requests': '5', 'x-ratelimit-remaining-requests': '0' };
    pass.answered({ kind: 'answered', headers: new Headers(headers) } as never);
    await untilRow(pool, 'requests_told = 5');
    await sleep(2_100); // shares that were taken before are void then
    const waiting = new AbortController();
    let entered = 0;
    for (let n = 0; n < 20; n += 1)
      void two.enter(aCall(pool), waiting.signal).then(({ kind }) => {
        if (kind === 'entered') entered += 1;
      });
    await sleep(500);
    expect(entered).toBeLessThanOrEqual(4);
    waiting.abort();
  });
});
