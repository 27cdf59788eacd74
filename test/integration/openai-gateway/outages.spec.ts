/**
 * How the gateway sits an outage out: latches that every process knows, probes, release, the breaker, the way back.
 * Real: Postgres, HTTP, the openai SDK, undici. Stands in: OpenAI (dev/simulator). Several gateways over one database play several
 * processors.
 */
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { failureRules } from '#libs/domain';
import type {
  ModelCallOutcome,
  OpenAiGateway,
  OutageFact,
  OutagePolicy,
} from '#libs/openai-gateway';
import type { Fault } from '../../../dev/simulator/faults.js';
import {
  anOwner,
  aRequest,
  type GatewayChanges,
  gatewayFixture,
  until,
} from '../../support/gateway.js';

/** Probes come only where a spec is about them. */
const quick: Partial<OutagePolicy> = { refreshMs: 50, stepMs: 100, firstProbeMs: 600_000 };

const fixture = gatewayFixture();
let facts: OutageFact[] = [];
const counted: string[] = [];
beforeEach(async () => {
  await fixture.database.query('DELETE FROM processor.latches');
  facts = [];
});

const open: OpenAiGateway[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((gateway) => gateway.close()));
});

async function processor(
  policy: Partial<OutagePolicy> = {},
  baseUrl?: string,
  changes: GatewayChanges = {},
) {
  const gateway = fixture.gateway(
    {},
    {
      outages: { ...quick, ...policy },
      metrics: { add: (name) => void counted.push(name), observe: () => undefined },
      tellOutage: (_, fact) => void facts.push(fact),
      ...(baseUrl !== undefined && { baseUrl }),
      ...changes,
    },
  );
  open.push(gateway);
  await gateway.start();
  return gateway;
}

const call = (gateway: OpenAiGateway, changes = {}) =>
  gateway.callModel(aRequest(changes), anOwner());
const sent = () =>
  fixture.simulator.requests().filter(({ operation }) => operation === 'create').length;
const always = (fault: Fault) => fixture.simulator.addFaults([{ fault, times: 'always' }]);
const refuse = (status: number, code: string | null = null) =>
  always({ kind: 'status', status, code });
/** For a poll: ask again. */
const unready: Fault = { kind: 'status', status: 500 };
/** The clock that tells until when, and the one that counts the rest, agree to within this. */
const clocksMs = 5;
const probeNow = () => fixture.database.query('UPDATE processor.latches SET probe_at = now()');
const kinds = () => facts.map(({ kind }) => kind);

describe('a lane fault', () => {
  it.each([
    ['billing', 429, 'insufficient_quota', null],
    ['authorization', 401, 'invalid_api_key', null],
    ['configuration', 404, 'model_not_found', 'gpt-5.2'],
  ] as const)(
    '(%s) met by many processes at once latches its lane once, and parks every call',
    async (failed, status, code, model) => {
      refuse(status, code);
      const processors = await Promise.all(Array.from({ length: 5 }, () => processor()));
      const calls = processors.flatMap((gateway) => [call(gateway), call(gateway), call(gateway)]);
      for (const outcome of await Promise.all(calls))
        expect(outcome).toMatchObject({ kind: 'parked', reason: 'outage', untilMs: null });
      expect(kinds()).toEqual(['latched']);
      const { rows } = await fixture.database.query('SELECT * FROM processor.latches');
      expect(rows).toMatchObject([
        { account: 'default', model, class: failed, code, released_at: null },
      ]);
    },
  );

  it('keeps later calls from leaving, in every process, within the time that is stated', async () => {
    refuse(429, 'insufficient_quota');
    const [one, other] = [await processor(), await processor()];
    await call(one);
    const before = sent();
    expect(await call(one)).toMatchObject({
      kind: 'parked',
      because: expect.stringContaining(failureRules.billing.people) as string,
    });
    await until('the other knows', () => other.latches().length === 1);
    expect(await call(other)).toMatchObject({ kind: 'parked' });
    expect(sent()).toBe(before);
    expect(other.room()).toMatchObject({ inAll: 0 });
    expect((await processor()).latches()).toHaveLength(1); // known before the first call
  });

  it('of one model leaves the others alone', async () => {
    refuse(404, 'model_not_found');
    const gateway = await processor();
    await call(gateway, { model: 'gpt-5-mini' });
    fixture.simulator.clearFaults();
    expect(await call(gateway)).toMatchObject({ kind: 'completed' });
    expect(await call(gateway, { model: 'gpt-5-mini' })).toMatchObject({ kind: 'parked' });
    expect([...gateway.room().byModel]).toEqual([['gpt-5-mini', 0]]);
  });

  it('that polling meets latches the lane for new calls, and the polled one comes to its end', async () => {
    const fault: Fault = { kind: 'status', status: 401 };
    fixture.simulator.addFaults([{ match: { operation: 'retrieve' }, fault }]);
    const gateway = await processor();
    expect(await call(gateway)).toMatchObject({ kind: 'completed' });
    await until('it is latched', () => gateway.latches().length === 1);
    expect(await call(gateway)).toMatchObject({ kind: 'parked' });
  });

  it('of a call that set out before the release latches nothing: its news is old', async () => {
    const gateway = await processor();
    const late = aRequest();
    const match = { runId: late.runId };
    fixture.simulator.addFaults([
      { match, fault: { kind: 'failed', code: 'insufficient_quota' } },
      { match: { ...match, operation: 'retrieve' }, fault: unready, times: 'always' },
    ]);
    const before = sent();
    const slow = gateway.callModel(late, anOwner());
    await until('it is sent', () => sent() === before + 1);
    refuse(401);
    await call(gateway);
    await gateway.releaseLatch(gateway.latches()[0]!.latchId);
    fixture.simulator.clearFaults();
    expect(await slow).toMatchObject({ kind: 'parked' });
    expect(kinds()).toEqual(['latched', 'released']);
  });
});

describe('a latch', () => {
  it('is released once, by whichever process is asked; the first call goes alone, and the others follow', async () => {
    refuse(401);
    const [one, other] = [await processor(), await processor()];
    await call(one);
    await until('the other knows', () => other.latches().length === 1);
    const { latchId } = other.latches()[0]!;
    fixture.simulator.clearFaults();
    const released = [other.releaseLatch(latchId), one.releaseLatch(latchId)];
    expect((await Promise.all(released)).sort()).toEqual([false, true]);
    expect(kinds()).toEqual(['latched', 'released']);
    await until('both know', () => one.latches().length + other.latches().length === 0);
    expect(one.room()).toMatchObject({ inAll: 1 });

    const before = sent();
    fixture.simulator.addFaults([
      { match: { operation: 'retrieve' }, fault: unready, times: 'always' },
    ]);
    const calls = Array.from({ length: 12 }, () => call(one));
    await until('the first is sent', () => sent() === before + 1);
    expect(one.room()).toMatchObject({ inAll: 0 });
    fixture.simulator.clearFaults();
    for (const outcome of await Promise.all(calls)) expect(outcome.kind).toBe('completed');
  });

  it.each([
    ['set', 1],
    ['released', 0],
  ])('that was %s after a read was sent stays so when the read is answered', async (what, held) => {
    const [answered, use] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const heldAtRead: number[] = [];
    let isLate = false;
    const around = {
      'gateway.latches.held': async (run: () => Promise<unknown>) => {
        if (!isLate) return run();
        heldAtRead.push(gateway.latches().length);
        const answer = await run();
        answered.resolve();
        await use.promise;
        return answer;
      },
    };
    const gateway: OpenAiGateway = await processor({}, undefined, { around });
    refuse(401);
    if (what === 'released') await call(gateway);
    isLate = true;
    await answered.promise;
    if (what === 'set') await call(gateway);
    else await gateway.releaseLatch(gateway.latches()[0]!.latchId);
    use.resolve();
    await until('the answer is taken', () => heldAtRead.length > 1);
    expect(heldAtRead[1]).toBe(held);
  });

  it('lets one call of the fleet through when its probe is due; a good one releases it', async () => {
    refuse(429, 'insufficient_quota');
    const processors = [await processor(), await processor(), await processor()];
    await call(processors[0]!);
    fixture.simulator.clearFaults();
    always({ kind: 'hang', ms: 600_000 });
    await probeNow();
    const before = sent();
    await until('all may probe', () => processors.every((each) => each.room().inAll === 1));
    const parked: ModelCallOutcome[] = [];
    const calls = processors.map(async (each) => {
      const outcome = await call(each);
      if (outcome.kind === 'parked') parked.push(outcome);
      return outcome;
    });
    await until('two of three are parked', () => parked.length === 2);
    await until('the third is at OpenAI', () => sent() === before + 1);
    fixture.simulator.clearFaults();
    fixture.simulator.finish();
    const outcomes = await Promise.all(calls);
    expect(outcomes.filter(({ kind }) => kind === 'completed')).toHaveLength(1);
    await until('it is released', () => kinds().includes('released'));
    expect(facts.at(-1)).toMatchObject({ kind: 'released', releasedBy: 'probe' });
    expect(sent()).toBe(before + 1);
    await until('all know', () => processors.every((each) => each.latches().length === 0));
  });

  it('keeps its probe for whoever has a call to send, wherever that is', async () => {
    refuse(429, 'insufficient_quota');
    const [idle, busy] = [await processor(), await processor()];
    await call(idle);
    fixture.simulator.clearFaults();
    await probeNow();
    await until('both know', () => [idle, busy].every((each) => each.room().inAll === 1));
    const { rows } = await fixture.database.query('SELECT probes FROM processor.latches');
    expect(rows).toEqual([{ probes: 0 }]);
    expect(await call(busy)).toMatchObject({ kind: 'completed' });
    await until('it is released', () => kinds().includes('released'));
  });

  it('has its probe back where the call that took it did not leave', async () => {
    refuse(401);
    const [one, other] = [await processor(), await processor()];
    await call(one);
    fixture.simulator.clearFaults();
    await probeNow();
    await until('both know', () => [one, other].every((each) => each.room().inAll === 1));
    const owner = anOwner();
    owner.loseLease();
    const before = sent();
    expect(await one.callModel(aRequest(), owner)).toEqual({ kind: 'not_owner' });
    await until('the other may', () => other.room().inAll === 1);
    expect(await call(other)).toMatchObject({ kind: 'completed' });
    expect(sent()).toBe(before + 1);
  });

  it('does not have a probe back whose time was over: the next one is on its way', async () => {
    refuse(401);
    const [late, givenBack] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const around = {
      'gateway.latches.give_probe_back': async (run: () => Promise<unknown>) => {
        await late.promise;
        const answer = await run();
        givenBack.resolve();
        return answer;
      },
    };
    const [one, other] = [await processor({}, undefined, { around }), await processor()];
    await call(one);
    fixture.simulator.clearFaults();
    always({ kind: 'latency', ms: 60_000 });
    await probeNow();
    await until('both know', () => [one, other].every((each) => each.room().inAll === 1));
    const owner = anOwner();
    owner.loseLease();
    expect(await one.callModel(aRequest(), owner)).toEqual({ kind: 'not_owner' });
    await probeNow();
    await until('the other may', () => other.room().inAll === 1);
    const next = anOwner();
    const probing = other.callModel(aRequest(), next);
    const probes = async () =>
      (await fixture.database.query('SELECT probes FROM processor.latches')).rows;
    await until('it is the next probe', async () => (await probes())[0]?.['probes'] === 2);
    late.resolve();
    await givenBack.promise;
    expect(await probes()).toEqual([{ probes: 2 }]);
    next.stop();
    expect(await probing).toEqual({ kind: 'aborted' });
  });

  it('stays where its probe fails, and says nothing more of it', async () => {
    refuse(401);
    const gateway = await processor();
    await call(gateway);
    for (let probes = 1; probes <= 2; probes += 1) {
      await probeNow();
      await until('it may probe', () => gateway.room().inAll === 1);
      const before = sent();
      expect(await call(gateway)).toMatchObject({ kind: 'parked' });
      expect(await call(gateway)).toMatchObject({ kind: 'parked' });
      expect(sent()).toBe(before + 1);
    }
    expect(kinds()).toEqual(['latched']);
    const { rows } = await fixture.database.query('SELECT probes FROM processor.latches');
    expect(rows[0]).toEqual({ probes: 2 });
  });
});

describe('many faults that may be over in a moment', () => {
  const calls = (gateway: OpenAiGateway, count: number) =>
    Promise.all(Array.from({ length: count }, () => call(gateway)));

  it('open the breaker: what it opened on is given back, nothing more leaves, and one call finds out when it is over', async () => {
    refuse(503);
    const gateway = await processor({ openMs: 1_500 });
    const outcomes = await calls(gateway, 24);
    const parked = outcomes.filter(({ kind }) => kind === 'parked');
    expect(parked.length).toBeGreaterThanOrEqual(14);
    expect(parked[0]).toMatchObject({ reason: 'outage', untilMs: expect.any(Number) as number });
    const before = sent();
    expect(await call(gateway)).toMatchObject({ kind: 'parked' });
    expect(sent()).toBe(before);
    expect(gateway.shutLanes()).toMatchObject([{ account: 'default', model: 'gpt-5.2' }]);
    expect(facts).toEqual([]);
    expect(counted).toContain('holdfast_breaker_opened_total');

    fixture.simulator.clearFaults();
    await until('it has rested', () => gateway.shutLanes().length === 0);
    expect(gateway.room().byModel.get('gpt-5.2')).toBe(1);
    expect(gateway.waitedFor()).toMatchObject([{ model: 'gpt-5.2' }]);
    for (const outcome of await calls(gateway, 12)) expect(outcome.kind).toBe('completed');
  });

  it('open it where replies are lost, while their anchors are still asked what became of the calls', async () => {
    const fault: Fault = { kind: 'reset_before_read' };
    fixture.simulator.addFaults([{ match: { operation: 'create' }, fault, times: 'always' }]);
    const gateway = await processor({}, undefined, { anchors: { for: 'all' } });
    const owner = anOwner();
    const outcomes = Array.from({ length: 16 }, () => gateway.callModel(aRequest(), owner));
    await until('it is open', () => gateway.shutLanes().length > 0);
    owner.stop();
    for (const { kind } of await Promise.all(outcomes)) expect(kind).toBe('aborted');
  });

  it('open it where they are few: all that were met, by more than one call', async () => {
    refuse(503);
    const gateway = await processor({ verdictMs: 100 });
    const first = aRequest();
    const again = (tried: number) => gateway.callModel({ ...first, try: tried }, anOwner());
    expect(await again(1)).toMatchObject({ kind: 'failed', isInDoubt: true });
    expect(gateway.shutLanes()).toEqual([]);
    expect(await call(gateway)).toMatchObject({ kind: 'parked', reason: 'outage' });
    expect(gateway.shutLanes()).toHaveLength(1);
    const before = sent();
    expect(await again(2)).toMatchObject({ kind: 'parked', reason: 'outage' });
    expect(sent()).toBe(before);
  });

  it('are a call’s own where it alone meets them: doubted three times, then not', async () => {
    refuse(503);
    const gateway = await processor();
    const request = aRequest();
    const doubts: unknown[] = [];
    for (let tried = 1; tried <= 5; tried += 1) {
      const outcome = await gateway.callModel({ ...request, try: tried }, anOwner());
      doubts.push(outcome.kind === 'failed' && (outcome.isInDoubt ?? false));
    }
    expect(doubts).toEqual([true, true, true, false, false]);
    expect(gateway.shutLanes()).toEqual([]);
  });

  it('are a call’s own, at once, where others go well', async () => {
    const poison = aRequest();
    const fault: Fault = { kind: 'status', status: 500 };
    fixture.simulator.addFaults([{ match: { runId: poison.runId }, fault, times: 'always' }]);
    const gateway = await processor({ verdictMs: 600_000 });
    let isTold = false;
    const told = gateway.callModel(poison, anOwner()).finally(() => (isTold = true));
    do expect(await call(gateway)).toMatchObject({ kind: 'completed' });
    while (!isTold);
    const outcome = await told;
    expect(outcome).toMatchObject({ kind: 'failed', failure: { class: 'server_error' } });
    expect(outcome).not.toHaveProperty('isInDoubt');
  });

  it('let others be the first of a lane that comes back: who was it and failed waits for longer', async () => {
    refuse(503);
    const gateway = await processor({ openMs: 200, maxOpenMs: 400, verdictMs: 10 });
    await call(gateway);
    const request = aRequest();
    for (let rests = 1; rests <= 3; rests += 1) {
      await until('the lane has rested', () => gateway.shutLanes().length === 0);
      const askedAtMs = Date.now();
      const outcome = await gateway.callModel({ ...request, try: rests }, anOwner());
      const lane = gateway.shutLanes()[0];
      const toldAtMs = Date.now();
      if (outcome.kind !== 'parked' || outcome.untilMs === null || !lane?.untilMs)
        throw new Error(`it is not parked for a time: ${JSON.stringify(outcome)}`);
      // What was left of the lane's rest when it was parked: it was parked between the two looks at the clock.
      const [most, least] = [askedAtMs, toldAtMs].map((atMs) => lane.untilMs! - atMs);
      const longerMs = outcome.untilMs - lane.untilMs;
      expect(longerMs).toBeGreaterThanOrEqual((rests - 1) * least! - clocksMs);
      expect(longerMs).toBeLessThanOrEqual((rests - 1) * most! + clocksMs);
    }
  });

  it('open it on the first call, where nobody listens: that says nothing of the call', async () => {
    const gateway = await processor({}, 'http://127.0.0.1:1/v1');
    expect(await call(gateway)).toMatchObject({ kind: 'parked', reason: 'outage' });
    expect(gateway.shutLanes()).toHaveLength(1);
  });

  it('open it where nobody listens', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    const gateway = await processor({}, `http://127.0.0.1:${port}/v1`);
    const outcomes = await calls(gateway, 16);
    expect(outcomes.some(({ kind }) => kind === 'parked')).toBe(true);
    expect(gateway.shutLanes()).toHaveLength(1);
  });
});
