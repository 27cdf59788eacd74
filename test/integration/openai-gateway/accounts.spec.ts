/**
 * Several accounts: what one turns away goes on with the next, and only that; whoever follows or cancels a call asks the account that
 * has it. Real: Postgres, HTTP, the openai SDK, undici. Stands in: OpenAI, twice (dev/simulator).
 */
import { type CallFailure, type Capability, type ModelCallRequest } from '#libs/openai-gateway';
import type { Fault } from '../../../dev/simulator/faults.js';
import { startSimulator, type Simulator } from '../../../dev/simulator/simulator.js';
import {
  anOwner,
  aRequest,
  type GatewayChanges,
  gatewayFixture,
  until,
} from '../../support/gateway.js';

const fixture = gatewayFixture();
let spare: Simulator;
beforeAll(async () => {
  spare = await startSimulator({ latencyMs: 20 });
});
beforeEach(() => spare.clearFaults());
afterAll(() => spare?.close());

const twoAccounts = (
  lacks: { spare?: readonly Capability[]; own?: readonly Capability[] } = {},
): NonNullable<GatewayChanges['accounts']> => ({
  lacks: lacks.own ?? [],
  accounts: [
    { name: 'spare', baseUrl: spare.baseUrl, apiKey: 'sk-spare', lacks: lacks.spare ?? [] },
  ],
  routes: new Map([['gpt-5.2', ['default', 'spare']]]),
});
const gateway = (changes: GatewayChanges = {}) =>
  fixture.gateway({}, { accounts: twoAccounts(), ...changes });
const refusal = (status: number, code: string, headers: Record<string, string> = {}): Fault => ({
  ...{ kind: 'status', status, code, headers },
});
const asked = ({ runId }: ModelCallRequest, of: Simulator, operation = 'create') =>
  of.requests().filter((line) => line.runId === runId && line.operation === operation).length;
const paid = ({ runId }: ModelCallRequest, of: Simulator) => of.charges().byRunId[runId] ?? 0;

/** One call that meets the fault at `default`. */
async function callWith(fault: Fault | null, changes: GatewayChanges = {}, put = {}) {
  const request = aRequest(put);
  if (fault)
    fixture.simulator.addFaults([{ match: { runId: request.runId }, fault, times: 'always' }]);
  const outcome = await gateway(changes).callModel(request, anOwner());
  return { request, outcome, row: await fixture.rowOf(request) };
}

describe('what one account turns away for good goes on with the next', () => {
  it.each<[string, Fault]>([
    ['no credit', refusal(429, 'insufficient_quota')],
    ['a bad key', refusal(401, 'invalid_api_key')],
    ['a model that it does not have', refusal(404, 'model_not_found')],
    ['a limit of the day', refusal(429, 'rate_limit_exceeded', { 'retry-after': '7200' })],
  ])('%s', async (_, fault) => {
    const { request, outcome, row } = await callWith(fault);
    expect(outcome).toMatchObject({ kind: 'completed' });
    expect(row).toMatchObject({ state: 'done', account: 'spare', attempt_count: 1 });
    expect([asked(request, fixture.simulator), asked(request, spare)]).toEqual([1, 1]);
    expect([paid(request, fixture.simulator), paid(request, spare)]).toEqual([0, 1]);
    expect(asked(request, fixture.simulator, 'retrieve')).toBe(0);
    expect(asked(request, spare, 'retrieve')).toBeGreaterThan(0);
  });

  it('a limit of the day, for those too that only hear of it: and claims go by the next one’s room', async () => {
    const fault = refusal(429, 'rate_limit_exceeded', { 'retry-after': '7200' });
    fixture.simulator.addFaults([{ fault, times: 'always' }]);
    const processor = gateway();
    const requests = [aRequest(), aRequest(), aRequest()];
    for (const request of requests)
      expect(await processor.callModel(request, anOwner())).toMatchObject({ kind: 'completed' });
    const atFirst = requests.map((request) => asked(request, fixture.simulator));
    expect(atFirst.reduce((sum, each) => sum + each)).toBeLessThanOrEqual(1);
    expect(processor.rooms()).toMatchObject([{ account: 'spare', heldForMs: 0 }]);
  });

  it('nobody listens', async () => {
    const { outcome, row } = await callWith(null, { baseUrl: 'http://127.0.0.1:1/v1' });
    expect(outcome).toMatchObject({ kind: 'completed' });
    expect(row).toMatchObject({ account: 'spare' });
  });
});

describe('conversations are of one account', () => {
  const anchors = { for: 'all' } as const;
  const asksFor = (of: Simulator, operation: string) =>
    of.requests().filter((line) => line.operation === operation).length;

  it('what goes on with the next goes on one of its own, where a lost answer is found', async () => {
    spare.addFaults([{ fault: { kind: 'reset_after_charge' } }]);
    const fault = refusal(429, 'insufficient_quota');
    const { request, outcome, row } = await callWith(fault, { anchors });
    expect(outcome).toMatchObject({ kind: 'completed', responseId: null });
    expect(row).toMatchObject({ state: 'done', account: 'spare', usage_estimated: true });
    expect([paid(request, fixture.simulator), paid(request, spare)]).toEqual([0, 1]);
    expect(asksFor(spare, 'list_items')).toBeGreaterThan(0);
    expect(asksFor(fixture.simulator, 'list_items')).toBe(0);
    await until('removed', () =>
      Promise.resolve(asksFor(fixture.simulator, 'delete_conversation') > 0),
    );
  });

  it('an account that has none is called without', async () => {
    const before = asksFor(spare, 'create_conversation');
    const accounts = twoAccounts({ spare: ['conversations'] });
    const fault = refusal(429, 'insufficient_quota');
    const { outcome, row } = await callWith(fault, { anchors, accounts });
    expect(outcome).toMatchObject({ kind: 'completed' });
    expect(row).toMatchObject({ account: 'spare', anchor: null, fenced_attempt: 0 });
    expect(asksFor(spare, 'create_conversation')).toBe(before);
  });
});

describe('what another account would not mend, or may have been paid, does not', () => {
  it.each<[string, Fault, CallFailure['class']]>([
    ['a limit of the minute', refusal(429, 'rate_limit_exceeded'), 'throttled'],
    ['an overload', refusal(503, 'server_is_overloaded'), 'overloaded'],
    ['a wrong request', refusal(400, 'invalid_value'), 'invalid_request'],
    ['too large', refusal(400, 'context_length_exceeded'), 'too_large'],
    ['refused content', refusal(400, 'content_policy_violation'), 'policy'],
    ["a fault of OpenAI's own", refusal(500, 'server_error'), 'server_error'],
    ['a lost reply', { kind: 'reset_after_charge' }, 'outcome_unknown'],
    ['a cut reply', { kind: 'cut_body' }, 'outcome_unknown'],
  ])('%s', async (_, fault, failureClass) => {
    const { request, outcome, row } = await callWith(fault);
    expect(outcome).toMatchObject({ kind: 'failed', failure: { class: failureClass } });
    expect(row).toMatchObject({ account: 'default' });
    expect(asked(request, spare)).toBe(0);
  });

  it('no credit inside a 200: its run waits', async () => {
    const fault: Fault = { kind: 'failed', code: 'insufficient_quota' };
    const { request, outcome, row } = await callWith(fault);
    expect(outcome).toMatchObject({ kind: 'parked', reason: 'outage' });
    expect(row).toMatchObject({ account: 'default' });
    expect(asked(request, spare)).toBe(0);
  });
});

it('both turn it away: its run waits for both, and the next try begins with the first again', async () => {
  const request = aRequest();
  const { runId } = request;
  fixture.simulator.addFaults([{ match: { runId }, fault: refusal(429, 'insufficient_quota') }]);
  spare.addFaults([{ match: { runId }, fault: refusal(401, 'invalid_api_key') }]);
  const turning = gateway();
  expect(await turning.callModel(request, anOwner())).toMatchObject({ kind: 'parked' });
  const latched = turning.latches().map(({ account, class: failed }) => `${account}: ${failed}`);
  expect(latched.sort()).toEqual(['default: billing', 'spare: authorization']);
  expect([...turning.room().byModel]).toEqual([['gpt-5.2', 0]]);
  const next = { ...request, try: request.try + 1 };
  expect(await gateway().callModel(next, anOwner())).toMatchObject({ kind: 'completed' });
  expect(await fixture.rowOf(next)).toMatchObject({ account: 'default' });
});

it('a model without a route stays with the account "default"', async () => {
  const fault = refusal(401, 'invalid_api_key');
  const { request, outcome } = await callWith(fault, {}, { model: 'gpt-5-mini' });
  expect(outcome).toMatchObject({ kind: 'parked', reason: 'outage' });
  expect(asked(request, spare)).toBe(0);
});

describe('the next owner', () => {
  it('follows a call with the account that has it', async () => {
    const request = aRequest();
    const { runId } = request;
    fixture.simulator.addFaults([{ match: { runId }, fault: refusal(401, 'invalid_api_key') }]);
    spare.addFaults([{ match: { runId }, fault: { kind: 'latency', ms: 60_000 } }]);
    const dying = anOwner(1n);
    const before = gateway().callModel(request, dying);
    await until('accepted', async () => (await stateOf(request)) === 'accepted');
    dying.stop();
    await before;
    spare.finish();
    expect(await gateway().callModel(request, anOwner(2n))).toMatchObject({ kind: 'completed' });
    expect(paid(request, spare)).toBe(1);
    expect(asked(request, fixture.simulator, 'retrieve')).toBe(0);
  });

  it('sends a call that was moved, and not sent yet, with the account that it was moved to', async () => {
    const request = aRequest();
    const { runId } = request;
    fixture.simulator.addFaults([{ match: { runId }, fault: refusal(401, 'invalid_api_key') }]);
    const dying = anOwner(1n);
    const around = {
      'gateway.reroute': async (run: () => Promise<unknown>) => {
        const answer = await run();
        dying.stop();
        return answer;
      },
    };
    expect(await gateway({ around }).callModel(request, dying)).toEqual({ kind: 'aborted' });
    expect(await fixture.rowOf(request)).toMatchObject({
      ...{ state: 'planned', account: 'spare' },
    });
    expect(await gateway().callModel(request, anOwner(2n))).toMatchObject({ kind: 'completed' });
    expect([asked(request, fixture.simulator), asked(request, spare)]).toEqual([1, 1]);
  });

  it('cancels with the account that has the call', async () => {
    const request = aRequest();
    const { runId } = request;
    fixture.simulator.addFaults([{ match: { runId }, fault: refusal(401, 'invalid_api_key') }]);
    spare.addFaults([{ match: { runId }, fault: { kind: 'latency', ms: 60_000 } }]);
    const dying = anOwner(1n);
    const before = gateway().callModel(request, dying);
    await until('accepted', async () => (await stateOf(request)) === 'accepted');
    dying.stop();
    await before;
    const closed = await gateway().closeCalls(runId, new AbortController().signal);
    expect(closed).toEqual({ closed: 1, leftOpen: 0 });
    expect(asked(request, spare, 'cancel')).toBe(1);
    expect(await stateOf(request)).toBe('cancelled');
  });
});

describe('an endpoint without background mode', () => {
  it('has background calls in the foreground: one open request, nothing stored, nothing polled', async () => {
    const accounts = twoAccounts({ own: ['background'] });
    const { request, outcome, row } = await callWith(null, { accounts });
    expect(outcome).toMatchObject({ kind: 'completed' });
    expect(row).toMatchObject({ state: 'done', mode: 'foreground' });
    const work = fixture.simulator.find(String(row.response_id));
    expect(work?.request).toMatchObject({ background: false, store: false });
    expect(asked(request, fixture.simulator, 'retrieve')).toBe(0);
  });

  it('takes over from one that has it', async () => {
    const accounts = twoAccounts({ spare: ['background'] });
    const { row } = await callWith(refusal(429, 'insufficient_quota'), { accounts });
    expect(row).toMatchObject({ state: 'done', mode: 'foreground', account: 'spare' });
  });

  it('leaves a lost reply unknown at once, whatever the settings say of webhooks', async () => {
    const accounts = twoAccounts({ own: ['background'] });
    const secrets = new Map([['default', `whsec_${Buffer.alloc(24).toString('base64')}`]]);
    const webhooks = { secrets, graceMs: 60_000 };
    const { outcome } = await callWith({ kind: 'reset_after_charge' }, { accounts, webhooks });
    expect(outcome).toMatchObject({ failure: { class: 'outcome_unknown' } });
  });
});

async function stateOf(request: ModelCallRequest): Promise<unknown> {
  return (await fixture.rowOf(request)).state;
}
