/**
 * A call whose reply was lost is waited for while OpenAI's webhook may tell what became of it; what it tells is fetched and
 * booked, whoever waits, and nothing is sent again meanwhile. Deliveries and their signatures: processor/receive-webhooks.spec.ts.
 * Real: Postgres, HTTP, the openai SDK, undici. Stands in: OpenAI (dev/simulator).
 */
import { randomUUID } from 'node:crypto';
import {
  callIdOf,
  giveUpUnknownCalls,
  stopCalls,
  type ModelCallRequest,
  type OpenAiGateway,
} from '#libs/openai-gateway';
import type { Fault } from '../../../dev/simulator/faults.js';
import { anOwner, aRequest, type SpecOwner, gatewayFixture, until } from '../../support/gateway.js';

const fixture = gatewayFixture();
const { script, sentOf, chargesOf, timePasses } = fixture;
/** Some looks into the ledger of who waits. */
const someLooks = () => new Promise((resolve) => setTimeout(resolve, 100));

const lost: Fault = { kind: 'reset_after_charge' };
const listening = (graceMs = 60_000, pollMs = 20) =>
  fixture.gateway(
    { firstPollMs: pollMs, maxPollMs: pollMs },
    { webhooks: { secrets: new Map([['default', 'whsec_c3BlY3NwZWNzcGVjc3BlYw==']]), graceMs } },
  );
const stateOf = async (request: ModelCallRequest) => (await fixture.rowOf(request)).state;

/** What a webhook would name: the response that OpenAI has of the call, once it has ended. */
async function endedResponse(request: ModelCallRequest): Promise<string> {
  const charge = fixture.simulator.charges().charges.find((c) => c.callId === callIdOf(request));
  if (charge === undefined) throw new Error('OpenAI has no response of the call');
  return ended(charge.responseId);
}

/** Asks for the call under a lost reply, and resolves when its outcome is unknown and waited for. */
async function lostCall(
  gateway: OpenAiGateway,
  changes: Partial<ModelCallRequest> = {},
  owner: SpecOwner = anOwner(),
) {
  const request = aRequest(changes);
  script(request, lost);
  const waits: number[] = [];
  let over = 0;
  const onOutcomeUnknown = (forMs: number) => {
    waits.push(forMs);
    return () => void (over += 1);
  };
  const outcome = gateway.callModel(request, { ...owner, onOutcomeUnknown });
  await until('waited for', () => waits.length > 0);
  return { request, outcome, waits, over: () => over };
}

describe('a reply that is lost, with webhooks', () => {
  it('is told of: the paid result is taken, at once, and nothing is sent again', async () => {
    const gateway = listening(60_000, 30_000); // no look before the spec's time is over
    const { request, outcome, waits, over } = await lostCall(gateway);
    expect(await stateOf(request)).toBe('unknown');
    expect(waits).toEqual([expect.closeTo(request.callTimeoutMs + 60_000, -3)]);
    expect(over()).toBe(0);
    const responseId = await endedResponse(request);
    const callId = callIdOf(request);
    const { runId } = request;
    expect(await gateway.lookUp(responseId, true)).toEqual({ kind: 'booked', callId, runId });
    expect(await outcome).toMatchObject({ kind: 'completed', responseId, callId });
    expect(over()).toBe(1);
    expect(await fixture.ledgerRow(callId)).toMatchObject({
      ...{ state: 'done', failure: null, possible_duplicate: false, response_id: responseId },
    });
    expect([sentOf(request), chargesOf(request)]).toEqual([1, 1]);
  });

  it('is told of to another processor: whoever waits finds it in the ledger', async () => {
    const { request, outcome } = await lostCall(listening());
    await listening().lookUp(await endedResponse(request), true);
    expect(await outcome).toMatchObject({ kind: 'completed' });
    expect([sentOf(request), chargesOf(request)]).toEqual([1, 1]);
  });

  it('is told of twice, and by two processors at once: booked once', async () => {
    const { request, outcome } = await lostCall(listening());
    const responseId = await endedResponse(request);
    const told = await Promise.all([1, 2, 3].map(() => listening().lookUp(responseId, true)));
    expect(told.map(({ kind }) => kind)).toContain('booked');
    expect(await listening().lookUp(responseId, true)).toMatchObject({ kind: 'known' });
    expect(await outcome).toMatchObject({ kind: 'completed', responseId });
  });

  it('is held when nobody has told of it within its own time and the grace', async () => {
    const { request, outcome, over } = await lostCall(listening());
    await timePasses(request, request.callTimeoutMs + 30_000);
    await someLooks();
    expect(over()).toBe(0);
    await timePasses(request, 30_000);
    expect(await outcome).toMatchObject({ kind: 'failed', failure: { class: 'outcome_unknown' } });
    expect(over()).toBe(1);
    expect(await stateOf(request)).toBe('unknown');
    expect(sentOf(request)).toBe(1);
  });

  it('told of too late for its run, is booked: who asks again pays nothing', async () => {
    const { request, outcome } = await lostCall(listening(1));
    await timePasses(request, request.callTimeoutMs);
    expect(await outcome).toMatchObject({ kind: 'failed', failure: { class: 'outcome_unknown' } });
    const responseId = await endedResponse(request);
    expect(await listening().lookUp(responseId, true)).toMatchObject({ kind: 'booked' });
    await fixture.database.transaction((tx) => giveUpUnknownCalls(tx, [request.runId])); // a redrive
    const again = await listening().callModel(request, anOwner(2n));
    expect(again).toMatchObject({ kind: 'completed', reused: true, responseId });
    expect([sentOf(request), chargesOf(request)]).toEqual([1, 1]);
  });

  it('told of after a redrive gave the call up, has its cost booked and nothing else', async () => {
    const { request, outcome } = await lostCall(listening(1));
    await timePasses(request, request.callTimeoutMs);
    await outcome;
    await fixture.database.transaction((tx) => giveUpUnknownCalls(tx, [request.runId]));
    const responseId = await endedResponse(request);
    expect(await listening().lookUp(responseId, true)).toMatchObject({ kind: 'booked' });
    expect(await fixture.rowOf(request)).toMatchObject({
      ...{ state: 'failed', possible_duplicate: true, response_id: responseId, output: null },
      failure: { class: 'outcome_unknown', paid: 'yes' },
      usage: { totalTokens: expect.any(Number) as number },
    });
    expect(await listening().lookUp(responseId, true)).toMatchObject({ kind: 'known' });
  });

  it('is sent again, where its step accepts that, only when the time to be told is over', async () => {
    const { request, outcome } = await lostCall(listening(), { whenUnknown: 'resend' });
    await timePasses(request, request.callTimeoutMs + 30_000);
    await someLooks();
    expect(sentOf(request)).toBe(1);
    await timePasses(request, 30_000);
    expect(await outcome).toMatchObject({ kind: 'completed' });
    const row = await fixture.rowOf(request);
    expect(row).toMatchObject({ attempt_count: 2, possible_duplicate: true });
    expect(sentOf(request)).toBe(2);
  });

  it('is not sent again, where its step accepts that, once it was told of', async () => {
    const { request, outcome } = await lostCall(listening(), { whenUnknown: 'resend' });
    await listening().lookUp(await endedResponse(request), true);
    expect(await outcome).toMatchObject({ kind: 'completed' });
    expect([sentOf(request), chargesOf(request)]).toEqual([1, 1]);
  });

  it('is not waited for in the foreground: no webhook comes', async () => {
    const request = aRequest({ mode: 'foreground' });
    script(request, lost);
    const outcome = await listening().callModel(request, anOwner());
    expect(outcome).toMatchObject({ kind: 'failed', failure: { class: 'outcome_unknown' } });
  });

  it.each<[string, Fault, string]>([
    ['failed', { kind: 'failed', code: 'server_error' }, 'server_error'],
    ['was cut short', { kind: 'incomplete', reason: 'max_output_tokens' }, 'partial_output'],
  ])('is told of as one that %s: so is the call', async (_, fault, failureClass) => {
    const { request, outcome } = await lostCall(listening());
    script(request, fault);
    const responseId = await ended(await accepted(namesOf(request)));
    expect(await listening().lookUp(responseId, true)).toMatchObject({ kind: 'booked' });
    expect(await outcome).toMatchObject({ kind: 'failed', failure: { class: failureClass } });
    expect(await stateOf(request)).toBe('failed');
    expect(sentOf(request)).toBe(2); // the second by this spec
  });
});

describe('a call that is waited for and loses its owner', () => {
  it('is let go of at once; the next owner waits on, and takes what is told', async () => {
    const owner = anOwner(1n);
    const { request, outcome, over } = await lostCall(listening(60_000, 30_000), {}, owner);
    owner.stop();
    expect(await outcome).toEqual({ kind: 'aborted' });
    await until('the wait is over', () => over() === 1);
    const next = listening().callModel(request, anOwner(2n));
    await listening().lookUp(await endedResponse(request), true);
    expect(await next).toMatchObject({ kind: 'completed' });
    expect([sentOf(request), chargesOf(request)]).toEqual([1, 1]);
  });

  it('told of while nobody has it, is in the ledger for the next', async () => {
    const owner = anOwner(1n);
    const { request, outcome } = await lostCall(listening(), {}, owner);
    owner.stop();
    await outcome;
    await listening().lookUp(await endedResponse(request), true);
    const next = await listening().callModel(request, anOwner(2n));
    expect(next).toMatchObject({ kind: 'completed', reused: true });
    expect([sentOf(request), chargesOf(request)]).toEqual([1, 1]);
  });

  it('is not waited for once its run is to be cancelled', async () => {
    const owner = anOwner(1n);
    const { request, outcome } = await lostCall(listening(), {}, owner);
    await fixture.database.transaction((tx) => stopCalls(tx, [request.runId]));
    expect(await outcome).toMatchObject({ kind: 'failed', failure: { class: 'outcome_unknown' } });
    await listening().lookUp(await endedResponse(request), true);
    expect(await stateOf(request)).toBe('done');
  });

  it.each([
    ['before its sender is missed', 'sending'],
    ['after', 'unknown'],
  ] as const)('inside sending, told of %s, is taken by the next', async (_, state) => {
    const request = aRequest();
    script(request, { kind: 'hang', ms: 60_000 });
    const dying = anOwner(1n);
    const before = fixture.gateway({ requestTimeoutMs: 60_000 }).callModel(request, dying);
    await until('sent', () => sentOf(request) === 1);
    dying.stop(); // the process is gone: nobody will write down what comes of it
    await before;
    const responseId = await endedResponse(request);
    const isTold = () => listening().lookUp(responseId, true);
    if (state === 'sending') expect(await isTold()).toMatchObject({ kind: 'booked' });
    const next = listening().callModel(request, anOwner(2n));
    if (state === 'unknown') {
      await until('unknown', async () => (await stateOf(request)) === 'unknown');
      expect(await isTold()).toMatchObject({ kind: 'booked' });
    }
    expect(await next).toMatchObject({ kind: 'completed', responseId });
    expect([sentOf(request), chargesOf(request)]).toEqual([1, 1]);
  });
});

describe('a response that a webhook tells of', () => {
  it('is known where nothing was lost: OpenAI is not asked', async () => {
    const request = aRequest();
    const gateway = listening();
    await gateway.callModel(request, anOwner());
    const responseId = await endedResponse(request);
    const asked = fixture.simulator.requests().length;
    expect(await gateway.lookUp(responseId, true)).toMatchObject({ kind: 'known' });
    expect(fixture.simulator.requests()).toHaveLength(asked);
  });

  it('before its reply is here, is booked; the reply then changes nothing', async () => {
    const request = aRequest();
    script(request, { kind: 'hang', ms: 60_000 });
    const outcome = listening().callModel(request, anOwner());
    await until('sent', () => sentOf(request) === 1);
    const responseId = await endedResponse(request);
    expect(await listening().lookUp(responseId, true)).toMatchObject({ kind: 'booked' });
    fixture.simulator.finish();
    expect(await outcome).toMatchObject({ kind: 'completed', responseId });
    expect([sentOf(request), chargesOf(request)]).toEqual([1, 1]);
  });

  it('is left to whoever follows it, and booked where nobody does any more', async () => {
    const request = aRequest();
    script(request, { kind: 'latency', ms: 60_000 });
    const owner = anOwner();
    const before = listening().callModel(request, owner);
    await until('accepted', async () => (await stateOf(request)) === 'accepted');
    owner.stop();
    await before;
    fixture.simulator.finish();
    const responseId = await endedResponse(request);
    expect(await listening().lookUp(responseId, true)).toEqual({ kind: 'in_hand' });
    expect(await listening().lookUp(responseId, false)).toMatchObject({ kind: 'booked' });
    expect(await stateOf(request)).toBe('done');
  });

  it('of another sending than the one that was accepted, leaves the call as it is', async () => {
    const request = aRequest({ whenUnknown: 'resend' });
    script(request, lost, { kind: 'latency', ms: 60_000 });
    const outcome = fixture.gateway().callModel(request, anOwner());
    await until('the second is accepted', async () => (await stateOf(request)) === 'accepted');
    const { response_id: followed } = await fixture.rowOf(request);
    const responseId = await endedResponse(request);
    expect(responseId).not.toBe(followed);
    expect(await listening().lookUp(responseId, true)).toMatchObject({ kind: 'twin' });
    fixture.simulator.finish();
    expect(await outcome).toMatchObject({ kind: 'completed', responseId: followed });
  });

  it('that is none of ours, gone, or not at its end, changes nothing', async () => {
    const gateway = listening();
    expect(await gateway.lookUp('resp_nobody', true)).toEqual({ kind: 'gone' });
    const elsewhere = await sendingOf('another account');
    const unknown = { call_id: randomUUID() };
    for (const metadata of [elsewhere, unknown, { call_id: 'none' }, {}]) {
      const responseId = await ended(await accepted(metadata));
      expect(await gateway.lookUp(responseId, true)).toEqual({ kind: 'not_ours' });
    }
    const owner = anOwner();
    const { request, outcome } = await lostCall(gateway, {}, owner);
    script(request, { kind: 'latency', ms: 60_000 });
    const atWork = await accepted(namesOf(request));
    expect(await gateway.lookUp(atWork, true)).toEqual({ kind: 'not_yet' });
    expect(await stateOf(request)).toBe('unknown');
    owner.stop();
    expect(await outcome).toEqual({ kind: 'aborted' });
  });

  it('while OpenAI does not answer, is looked for again', async () => {
    const { request, outcome } = await lostCall(listening());
    const responseId = await endedResponse(request);
    const match = { operation: 'retrieve', runId: request.runId } as const;
    const faults: Fault[] = [
      { kind: 'status', status: 500 },
      { kind: 'reset_before_read' },
      { kind: 'status', status: 404, body: '<html>' },
    ];
    fixture.simulator.addFaults(faults.map((fault) => ({ match, fault })));
    for (const _ of faults)
      expect(await listening().lookUp(responseId, true)).toEqual({ kind: 'not_yet' });
    expect(await stateOf(request)).toBe('unknown');
    expect(await listening().lookUp(responseId, false)).toMatchObject({ kind: 'booked' });
    expect(await outcome).toMatchObject({ kind: 'completed' });
  });
});

/** A background response that this spec asks for itself. */
async function accepted(metadata: object): Promise<string> {
  const answer = await fetch(`${fixture.simulator.baseUrl}/responses`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-other', 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-5.2', input: 'Hello?', background: true, metadata }),
  });
  return ((await answer.json()) as { id: string }).id;
}

const namesOf = (request: ModelCallRequest) => ({
  ...{ call_id: callIdOf(request), run_id: request.runId },
});

/** The names of a call that is on its way. */
async function sendingOf(account: string) {
  const request = aRequest();
  await fixture.database.query(
    `INSERT INTO processor.calls (call_id, tenant, run_id, step, item, try, fence, mode, model, state, attempt_count, account)
     VALUES ($1, 'default', $2, 0, 0, 1, 1, 'background', 'gpt-5.2', 'sending', 1, $3)`,
    [callIdOf(request), request.runId, account],
  );
  return namesOf(request);
}

async function ended(responseId: string): Promise<string> {
  const work = fixture.simulator.find(responseId)!;
  await until('ended at OpenAI', () => Date.now() > work.acceptedAtMs + work.workMs);
  return responseId;
}
