/**
 * What becomes of a call whose reply was lost is read from the conversation that it was sent on, and nothing is paid twice.
 * Real: Postgres, HTTP, the openai SDK, undici. Stands in: OpenAI (dev/simulator).
 */
import { nanoUsd } from '#libs/domain';
import {
  callIdOf,
  stopCalls,
  type GatewayTiming,
  type ModelCallRequest,
} from '#libs/openai-gateway';
import type { Fault, Operation } from '../../../dev/simulator/faults.js';
import { anOwner, aRequest, gatewayFixture, until } from '../../support/gateway.js';

const fixture = gatewayFixture();
const { script, rowOf, sentOf, chargesOf, untilLost, timePasses } = fixture;

const lost: Fault = { kind: 'reset_after_charge' };
const neverCame: Fault = { kind: 'reset_before_read' };
const anchored = (timing: Partial<GatewayTiming> = {}) =>
  fixture.gateway({ anchorSettleMs: 50, ...timing }, { anchors: { for: 'all' } });
/** How often any anchor was asked what is on it. */
const looks = () =>
  fixture.simulator.requests().filter(({ operation }) => operation === 'list_items').length;
const onOperation = (operation: Operation, fault: Fault, times: number | 'always' = 'always') =>
  fixture.simulator.addFaults([{ match: { operation }, fault, times }]);

describe.each(['background', 'foreground'] as const)('a reply that is lost (%s)', (mode) => {
  it('is found on its anchor: the paid result is taken, its use estimated', async () => {
    const request = aRequest({ mode });
    script(request, lost);
    const outcome = await anchored().callModel(request, anOwner());
    expect(outcome).toMatchObject({ kind: 'completed', responseId: null, reused: false });
    if (outcome.kind !== 'completed') return;
    expect(outcome.output.text).toContain('What keeps the sky');
    expect(outcome.usage.outputTokens).toBeGreaterThan(0);
    expect(await rowOf(request)).toMatchObject({
      ...{ state: 'done', usage_estimated: true, attempt_count: 1, possible_duplicate: false },
    });
    expect([sentOf(request), chargesOf(request)]).toEqual([1, 1]);
    const again = await anchored().callModel(request, anOwner(2n));
    expect(again).toEqual({ ...outcome, reused: true });
  });

  it('of a request that never came is fenced: its anchor is deleted, and it is sent again', async () => {
    const request = aRequest({ mode });
    script(request, neverCame);
    const outcome = anchored().callModel(request, anOwner());
    await untilLost(request);
    await timePasses(request, request.callTimeoutMs - 10_000);
    const before = looks();
    await until('its anchor was asked some more', () => looks() >= before + 3);
    expect(sentOf(request)).toBe(1); // not before its time is over
    await timePasses(request, 10_000);
    expect(await outcome).toMatchObject({ kind: 'completed' });
    expect(await rowOf(request)).toMatchObject({
      ...{ state: 'done', attempt_count: 2, fenced_attempt: 1, possible_duplicate: false },
      ...{ usage_estimated: false },
    });
    expect([sentOf(request), chargesOf(request)]).toEqual([2, 1]);
  });

  it('again and again is sent three times at most, then held', async () => {
    const request = aRequest({ mode });
    script(request, neverCame, neverCame, neverCame);
    const outcome = anchored().callModel(request, anOwner());
    for (const attempt of [1, 2, 3]) {
      await untilLost(request, attempt);
      await timePasses(request, request.callTimeoutMs);
    }
    expect(await outcome).toMatchObject({
      ...{ kind: 'failed', failure: { class: 'outcome_unknown' } },
    });
    expect([sentOf(request), chargesOf(request)]).toEqual([3, 0]);
  });

  it('without anchors is held: nobody can know', async () => {
    const request = aRequest({ mode, anchor: 'off' });
    script(request, lost);
    const outcome = await anchored().callModel(request, anOwner());
    expect(outcome).toMatchObject({ kind: 'failed', failure: { class: 'outcome_unknown' } });
    expect((await rowOf(request)).anchor).toBeNull();
  });
});

it('is waited for while its call runs, past its time too: nothing is sent again', async () => {
  const request = aRequest({ mode: 'foreground', callTimeoutMs: 1_000 }); // enough for it to arrive; nobody listens any more then
  script(request, { kind: 'latency', ms: 1_600 });
  const outcome = await anchored().callModel(request, anOwner());
  expect(outcome).toMatchObject({ kind: 'completed', responseId: null });
  expect([sentOf(request), chargesOf(request)]).toEqual([1, 1]);
});

it('a sender who wakes up late is refused by OpenAI: nothing is paid twice', async () => {
  const request = aRequest();
  const asleep = Promise.withResolvers<void>();
  const isSending = Promise.withResolvers<void>();
  let opened = 0;
  const around = {
    'gateway.open_sending': async (run: () => Promise<unknown>) => {
      const answer = await run();
      isSending.resolve();
      if ((opened += 1) === 1) await asleep.promise;
      return answer;
    },
  };
  const late = fixture
    .gateway({ anchorSettleMs: 50 }, { around, anchors: { for: 'all' } })
    .callModel(request, anOwner(1n)); // his lease, he thinks, still holds
  await isSending.promise;
  const next = anchored().callModel(request, anOwner(2n));
  await untilLost(request);
  await timePasses(request, request.callTimeoutMs);
  expect(await next).toMatchObject({ kind: 'completed' });
  asleep.resolve();
  expect(await late).toEqual({ kind: 'not_owner' });
  await until('he has sent', () => sentOf(request) === 2);
  expect(chargesOf(request)).toBe(1);
});

it('a POST that something on the way sends twice is told of by its anchor', async () => {
  const request = aRequest();
  const locked = { kind: 'status', status: 409, code: 'conversation_locked' } as const;
  script(request, locked);
  const outcome = anchored().callModel(request, anOwner());
  await untilLost(request);
  await timePasses(request, request.callTimeoutMs);
  expect(await outcome).toMatchObject({ kind: 'completed' });
  expect((await rowOf(request)).attempt_count).toBe(2);
});

it.each<[string, Fault]>([
  ['500', { kind: 'status', status: 500 }],
  ['401', { kind: 'status', status: 401 }],
  ['a page that is not OpenAI’s', { kind: 'status', status: 404, body: '<html>' }],
  ['a reset', { kind: 'reset_before_read' }],
])('an anchor that answers with %s says nothing: it is asked again', async (_, fault) => {
  const request = aRequest();
  script(request, lost);
  onOperation('list_items', fault, 3);
  expect(await anchored().callModel(request, anOwner())).toMatchObject({ kind: 'completed' });
  expect([sentOf(request), chargesOf(request)]).toEqual([1, 1]);
});

it('an anchor that does not answer for as long as it is asked leaves the call to policy', async () => {
  onOperation('list_items', { kind: 'status', status: 500 });
  const anchorGraceMs = 60_000;
  const gateway = anchored({ anchorGraceMs });
  const outcomeOf = async (request: ModelCallRequest) => {
    script(request, lost);
    const outcome = gateway.callModel(request, anOwner());
    await untilLost(request);
    await timePasses(request, request.callTimeoutMs + anchorGraceMs);
    return outcome;
  };
  const held = aRequest();
  expect(await outcomeOf(held)).toMatchObject({
    ...{ kind: 'failed', failure: { class: 'outcome_unknown' } },
  });
  const resent = aRequest({ whenUnknown: 'resend' });
  expect(await outcomeOf(resent)).toMatchObject({ kind: 'completed' });
  expect(await rowOf(resent)).toMatchObject({ attempt_count: 2, possible_duplicate: true });
  fixture.simulator.clearFaults();
  const later = await anchored().callModel(held, anOwner(2n)); // it was not forgotten
  expect(later).toMatchObject({ kind: 'completed', responseId: null });
  expect(chargesOf(held)).toBe(1);
});

it('an answer that was cut short is told of as such', async () => {
  const request = aRequest({ maxOutputTokens: 16 });
  script(request, lost);
  const outcome = await anchored().callModel(request, anOwner());
  expect(outcome).toMatchObject({ kind: 'failed', failure: { class: 'partial_output' } });
  expect(await rowOf(request)).toMatchObject({ state: 'failed', usage_estimated: true });
});

it('a response that OpenAI no longer has is taken from its anchor, else it is expired', async () => {
  const request = aRequest();
  const gone = { kind: 'status', status: 404 } as const;
  fixture.simulator.addFaults([
    { match: { operation: 'retrieve', runId: request.runId }, fault: gone, times: 'always' },
  ]);
  const outcome = await anchored().callModel(request, anOwner());
  expect(outcome).toMatchObject({ kind: 'completed', responseId: expect.any(String) as string });
  expect(await rowOf(request)).toMatchObject({ state: 'done', usage_estimated: true });
  expect(chargesOf(request)).toBe(1);
});

it('where no conversation is made calls go without, at once', async () => {
  onOperation('create_conversation', { kind: 'status', status: 404, code: 'unknown_url' });
  const gateway = anchored();
  for (const request of [aRequest(), aRequest()]) {
    expect(await gateway.callModel(request, anOwner())).toMatchObject({ kind: 'completed' });
    expect((await rowOf(request)).anchor).toBeNull();
  }
  const asked = fixture.simulator.requests().filter((r) => r.operation === 'create_conversation');
  expect(asked.filter(({ fault }) => fault === 'status').length).toBeLessThanOrEqual(3);
});

it('conversations that are made as ever do not hide that no call is taken', async () => {
  const outages = { rememberMs: 0 }; // or the second one opens the breaker, and the third is not sent
  const gateway = fixture.gateway({}, { anchors: { for: 'all' }, outages });
  onOperation('create', { kind: 'status', status: 503 });
  for (const request of [aRequest(), aRequest(), aRequest()])
    expect(await gateway.callModel(request, anOwner())).toMatchObject({ kind: 'failed' });
  expect(gateway.health().problem).toMatch(/^the last 3 requests failed \(status 503\)/);
});

it('what was used is removed at OpenAI, and in the ledger; the stock goes with its process', async () => {
  const before = fixture.simulator.conversations();
  const gateway = anchored();
  const requests = Array.from({ length: 30 }, () => aRequest());
  await Promise.all(requests.map((request) => gateway.callModel(request, anOwner())));
  await gateway.close();
  expect(fixture.simulator.conversations()).toBeLessThanOrEqual(before);
  for (const request of requests) expect(await rowOf(request)).toMatchObject({ anchor: null });
});

it('each change of one is counted: whatever was used was removed, given back, or is left', async () => {
  const counted: string[] = [];
  const add = (name: string, { change = '' }: Readonly<Record<string, string>>) => {
    if (name === 'holdfast_anchors_total') counted.push(change);
  };
  const metrics = { add, observe: () => undefined };
  const gateway = fixture.gateway({}, { anchors: { for: 'all' }, metrics });
  await gateway.callModel(aRequest(), anOwner());
  await until('removed', () => counted.includes('removed'));
  const tooLittle = { ...aRequest().budget, runLimit: nanoUsd(1n) };
  await gateway.callModel(aRequest({ budget: tooLittle }), anOwner());
  for (const operation of ['create_conversation', 'delete_conversation'] as const)
    onOperation(operation, { kind: 'status', status: 500 });
  await Promise.all(Array.from({ length: 4 }, () => gateway.callModel(aRequest(), anOwner())));
  await until('not made', () => counted.includes('not_made'));
  await gateway.close();
  const timesOf = (change: string) => counted.filter((each) => each === change).length;
  expect([timesOf('removed'), timesOf('given_back')]).toEqual([1, 1]);
  for (const change of ['made', 'left']) expect(timesOf(change)).toBeGreaterThan(0);
  expect(timesOf('used')).toBe(2 + timesOf('left'));
});

/** One that ends between a look and the removal is lost, as docs/reliability.md says. */
function isOver(request: ModelCallRequest): boolean {
  const { charges } = fixture.simulator.charges();
  const charge = charges.find(({ callId }) => callId === callIdOf(request));
  return charge === undefined || Date.now() - Date.parse(charge.chargedAt) > 200;
}

describe('a run that is to be cancelled while a call of its is unknown', () => {
  async function unknownCall(fault: Fault) {
    const request = aRequest();
    script(request, fault);
    const owner = anOwner(1n);
    onOperation('list_items', { kind: 'status', status: 500 });
    const gateway = anchored();
    const outcome = gateway.callModel(request, owner);
    await until('unknown', async () => (await rowOf(request)).state === 'unknown');
    await fixture.database.transaction((tx) => stopCalls(tx, [request.runId]));
    owner.stop();
    await outcome;
    await gateway.offTheWire(request.runId); // or the owner's last look finds the answer itself
    fixture.simulator.clearFaults();
    await until('what OpenAI took is over', () => isOver(request));
    const signal = new AbortController().signal;
    return { request, closed: await gateway.closeCalls(request.runId, signal) };
  }

  it('has it booked from its anchor', async () => {
    const { request, closed } = await unknownCall(lost);
    expect(closed).toEqual({ closed: 1, leftOpen: 0 });
    expect(await rowOf(request)).toMatchObject({ state: 'done', usage_estimated: true });
    const { usage } = await rowOf(request);
    expect(usage).toMatchObject({ inputTokens: expect.any(Number) as number });
    await until('its anchor is removed', async () => (await rowOf(request)).anchor === null);
  });

  it('has it ended, unpaid, where it never came', async () => {
    const { request, closed } = await unknownCall(neverCame);
    expect(closed).toEqual({ closed: 1, leftOpen: 0 });
    const free = { failure: { paid: 'no' }, cost: 0n };
    expect(await rowOf(request)).toMatchObject({ state: 'cancelled', ...free });
  });
});
