/**
 * Several accounts share the load: who waits with the first for longer than a second goes to the next, if that takes it at once, and
 * only while nothing of it was sent. Real: Postgres, HTTP, the openai SDK, undici. Stands in: OpenAI, twice (dev/simulator).
 */
import { randomUUID } from 'node:crypto';
import { parseLimits, type ModelCallRequest, type PoolLimits } from '#libs/openai-gateway';
import { startSimulator, type Simulator } from '../../../dev/simulator/simulator.js';
import { anOwner, aRequest, gatewayFixture, until } from '../../support/gateway.js';

const fixture = gatewayFixture();
let spare: Simulator;
beforeAll(async () => {
  spare = await startSimulator({ latencyMs: 20 });
});
beforeEach(async () => {
  spare.clearFaults();
  await fixture.database.query('DELETE FROM processor.limit_buckets');
});
afterAll(() => spare?.close());

/** So long that a call of it is on its way until it is told to end. */
const LONG_MS = 60_000;

interface InFlight {
  readonly own: number;
  readonly spare: number;
}

/** A processor with so many calls in flight for each account. */
function processor(inFlight: InFlight) {
  const accounts = {
    accounts: [{ name: 'spare', baseUrl: spare.baseUrl, apiKey: 'sk-spare' }],
    routes: new Map([['gpt-5.2', ['default', 'spare']]]),
  };
  return fixture.gateway({}, { accounts, limits: limitsOf(inFlight) });
}

function limitsOf({ own, spare: ofSpare }: InFlight): readonly PoolLimits[] {
  const pool = 'gpt-5.2';
  const read = parseLimits(
    JSON.stringify([
      { pool, inFlight: own },
      { pool, inFlight: ofSpare, account: 'spare' },
    ]),
  );
  if (read.kind !== 'limits') throw new Error(JSON.stringify(read));
  return read.limits;
}

const askedAt = ({ runId }: ModelCallRequest, of: Simulator) =>
  of.requests().filter((line) => line.runId === runId && line.operation === 'create').length;
const accountOf = async (request: ModelCallRequest) => (await fixture.rowOf(request)).account;
const stateOf = async (request: ModelCallRequest) => (await fixture.rowOf(request)).state;

/** A call that takes this long, wherever it goes. */
function aCallOf(ms: number, changes: Partial<ModelCallRequest> = {}): ModelCallRequest {
  const request = aRequest({ runId: randomUUID(), ...changes });
  const line = { match: { runId: request.runId }, fault: { kind: 'latency', ms } } as const;
  fixture.simulator.addFaults([line]);
  spare.addFaults([line]);
  return request;
}

describe('a call that waits while the next account is idle', () => {
  it('goes there after a second, is asked for and paid there alone, and stays there', async () => {
    const gateway = processor({ own: 1, spare: 8 });
    const [first, owner] = [aCallOf(LONG_MS), anOwner()];
    const onItsWay = gateway.callModel(first, owner);
    await until('accepted', async () => (await stateOf(first)) === 'accepted');
    const waiting = [1, 2, 3].map(() => aCallOf(20));
    const startedAtMs = performance.now();
    const outcomes = await Promise.all(waiting.map((each) => gateway.callModel(each, anOwner())));
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(1_000);
    for (const outcome of outcomes) expect(outcome).toMatchObject({ kind: 'completed' });
    for (const each of waiting) {
      expect(await fixture.rowOf(each)).toMatchObject({
        ...{ state: 'done', account: 'spare', attempt_count: 1, lost_sendings: 0 },
      });
      expect([askedAt(each, fixture.simulator), askedAt(each, spare)]).toEqual([0, 1]);
    }
    expect(await accountOf(first)).toBe('default');
    owner.stop();
    await onItsWay;
  }, 30_000);

  it('stays where its turn comes sooner', async () => {
    const gateway = processor({ own: 1, spare: 8 });
    const calls = [aCallOf(50), aCallOf(20)];
    for (const outcome of await Promise.all(
      calls.map((each) => gateway.callModel(each, anOwner())),
    ))
      expect(outcome).toMatchObject({ kind: 'completed' });
    expect(await Promise.all(calls.map(accountOf))).toEqual(['default', 'default']);
  });

  it('waits on where the next one has no room either, and goes where room comes first', async () => {
    const gateway = processor({ own: 1, spare: 1 });
    const [own, other, owner, another] = [aCallOf(LONG_MS), aCallOf(LONG_MS), anOwner(), anOwner()];
    const first = gateway.callModel(own, owner);
    await until('accepted', async () => (await stateOf(own)) === 'accepted');
    const second = gateway.callModel(other, another);
    await until('accepted there', async () => (await stateOf(other)) === 'accepted');
    expect(await accountOf(other)).toBe('spare');
    const waiting = aCallOf(20);
    const third = gateway.callModel(waiting, anOwner());
    await until('waits', () => gateway.pools().some((pool) => pool.waiting === 1));
    owner.stop(); // the first account has room
    await first;
    expect(await third).toMatchObject({ kind: 'completed' });
    expect(await accountOf(waiting)).toBe('default');
    another.stop();
    await second;
  }, 30_000);

  it('goes there in fair order: of a tenant that had none waiting one is next', async () => {
    const gateway = processor({ own: 1, spare: 1 });
    const owner = anOwner();
    const first = gateway.callModel(aCallOf(LONG_MS), owner);
    await until('in flight', () => gateway.pools().some(({ inFlight }) => inFlight === 1));
    const order: string[] = [];
    const ask = async (tenant: string) => {
      await gateway.callModel(aCallOf(100, { tenant }), anOwner());
      order.push(tenant);
    };
    const flood = Array.from({ length: 8 }, () => ask('flood'));
    await until('they wait', () => gateway.pools().some(({ waiting }) => waiting === 8));
    const guest = ask('guest');
    await Promise.all([...flood, guest]);
    expect(order.indexOf('guest')).toBeLessThanOrEqual(2);
    owner.stop();
    await first;
  }, 60_000);
});

it('a call of which a reply was lost stays with its account, however long it waits there', async () => {
  const gateway = processor({ own: 1, spare: 8 });
  const lost = aRequest({ runId: randomUUID(), whenUnknown: 'resend', tenant: 'a' });
  const { runId } = lost;
  fixture.simulator.addFaults([{ match: { runId }, fault: { kind: 'reset_after_charge' } }]);
  const blocking = aCallOf(2_500, { tenant: 'b' });
  const resent = gateway.callModel(lost, anOwner());
  await until('sent', () => askedAt(lost, fixture.simulator) === 1);
  const other = gateway.callModel(blocking, anOwner());
  expect(await resent).toMatchObject({ kind: 'completed' });
  await other;
  expect(await accountOf(lost)).toBe('default');
  expect([askedAt(lost, fixture.simulator), askedAt(lost, spare)]).toEqual([2, 0]);
}, 30_000);

it('claims count on what the accounts take together', () => {
  const [alone, both] = [processor({ own: 3, spare: 1 }), processor({ own: 3, spare: 40 })];
  const [few, more] = [alone.rooms(), both.rooms()].map((rooms) =>
    rooms.filter(({ models }) => models.includes('gpt-5.2')),
  );
  expect([few?.length, more?.length]).toEqual([1, 1]);
  expect(more![0]!.runs - few![0]!.runs).toBe(39);
});

it.each([
  ['waits there for a second, and goes to the next', 20_000, 1_000],
  ['for long goes to the next at once, and is not parked', 45_000, 0],
])(
  'a call whose account is held %s',
  async (_, retryAfterMs, atLeastMs) => {
    const gateway = processor({ own: 8, spare: 8 });
    const held = aRequest({ runId: randomUUID() });
    const headers = { 'retry-after-ms': String(retryAfterMs) };
    const fault = { kind: 'status', status: 429, code: 'rate_limit_exceeded', headers } as const;
    fixture.simulator.addFaults([{ match: { runId: held.runId }, fault }]);
    expect(await gateway.callModel(held, anOwner())).toMatchObject({ kind: 'failed' });
    const waiting = aCallOf(20);
    const startedAtMs = performance.now();
    expect(await gateway.callModel(waiting, anOwner())).toMatchObject({ kind: 'completed' });
    const tookMs = performance.now() - startedAtMs;
    expect(await accountOf(waiting)).toBe('spare');
    expect(tookMs).toBeGreaterThanOrEqual(atLeastMs);
    expect(tookMs).toBeLessThan(retryAfterMs - 5_000);
  },
  60_000,
);
