/**
 * What becomes of a call when OpenAI, or the way to it, goes wrong: the class, what is kept, what is paid, what is sent again.
 * Real: Postgres, HTTP, the openai SDK, undici. Stands in: OpenAI (dev/simulator).
 */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { callIdOf, type ModelCallRequest } from '#libs/openai-gateway';
import type { Fault } from '../../../dev/simulator/faults.js';
import { anOwner, aRequest, gatewayFixture, until } from '../../support/gateway.js';

const fixture = gatewayFixture();
const { sentOf, chargesOf } = fixture;

async function callWith(fault: Fault, changes: Partial<ModelCallRequest> = {}) {
  const request = aRequest(changes);
  fixture.script(request, fault);
  const outcome = await fixture.gateway().callModel(request, anOwner());
  return { request, outcome, row: await fixture.rowOf(request) };
}

const refusals: [string, Fault, object][] = [
  [
    'a rate limit with Retry-After',
    {
      kind: 'status',
      status: 429,
      code: 'rate_limit_exceeded',
      headers: { 'retry-after': '7' },
    },
    { class: 'throttled', code: 'rate_limit_exceeded', httpStatus: 429, retryAfterMs: 7_000 },
  ],
  [
    'a rate limit that says how long in its message',
    {
      kind: 'status',
      status: 429,
      code: 'rate_limit_exceeded',
      message: 'Rate limit reached for gpt-5.2. Please try again in 1.5s.',
    },
    { class: 'throttled', retryAfterMs: 1_500 },
  ],
  [
    'an overload',
    { kind: 'status', status: 503, code: 'server_is_overloaded' },
    { class: 'overloaded', retryAfterMs: null },
  ],
  [
    'a server error',
    { kind: 'status', status: 500, code: 'server_error' },
    { class: 'server_error', httpStatus: 500, paid: 'no' },
  ],
  [
    'an invalid request',
    { kind: 'status', status: 400, code: 'invalid_type', message: "Invalid type for 'input'." },
    { class: 'invalid_request', code: 'invalid_type', paid: 'no' },
  ],
  [
    'a prompt too long',
    { kind: 'status', status: 400, code: 'context_length_exceeded' },
    { class: 'too_large' },
  ],
  [
    'a policy refusal',
    { kind: 'status', status: 400, code: 'content_policy_violation' },
    { class: 'policy' },
  ],
];

describe('a request that OpenAI refuses', () => {
  it.each(refusals)('for %s is classified, unpaid, and over', async (_, fault, expected) => {
    const { outcome, row, request } = await callWith(fault);
    expect(outcome).toMatchObject({
      kind: 'failed',
      failure: { requestId: expect.stringMatching(/^req_/) as string, ...expected },
    });
    expect(row).toMatchObject({ state: 'failed', response_id: null });
    expect(chargesOf(request)).toBe(0);
    const { failure } = row;
    const again = await fixture.gateway().callModel(request, anOwner(2n));
    expect(again).toEqual({ kind: 'failed', callId: callIdOf(request), failure });
    expect(sentOf(request)).toBe(1);
  });

  it('is made again, under an id of its own, as the next try', async () => {
    const { request } = await callWith({ kind: 'status', status: 500, code: 'server_error' });
    const next = await fixture.gateway().callModel({ ...request, try: 2 }, anOwner());
    expect(next).toMatchObject({ kind: 'completed', callId: callIdOf({ ...request, try: 2 }) });
  });

  it('for real: the simulator checks a schema as OpenAI does', async () => {
    const request = aRequest({ output: { name: 'loose', schema: { type: 'object' } } });
    expect(await fixture.gateway().callModel(request, anOwner())).toMatchObject({
      kind: 'failed',
      failure: {
        class: 'invalid_request',
        code: 'invalid_json_schema',
        message: expect.stringContaining('additionalProperties') as string,
      },
    });
  });
});

const lostReplies: [string, Fault, number][] = [
  ['the connection is reset after the work was accepted', { kind: 'reset_after_charge' }, 1],
  ['the connection is reset before', { kind: 'reset_before_read' }, 0],
  ['no answer comes in time', { kind: 'hang', ms: 60_000 }, 1],
  ['the answer is cut', { kind: 'cut_body' }, 1],
  ['the answer is not JSON', { kind: 'broken_json' }, 1],
  ['a proxy answers for OpenAI', { kind: 'status', status: 502, body: '<html>Bad gateway' }, 0],
  ['408', { kind: 'status', status: 408, code: null }, 0],
];

describe.each(['background', 'foreground'] as const)('a reply that is lost (%s)', (mode) => {
  /** Only an answer that never comes is cut off; its request has long arrived then, and is paid. */
  const limitOf = ({ kind }: Fault): Partial<ModelCallRequest> =>
    kind === 'hang' ? { mode, callTimeoutMs: 1_500 } : { mode };

  it.each(lostReplies)('because %s: held, never sent again', async (_, fault, paid) => {
    const { outcome, row, request } = await callWith(fault, limitOf(fault));
    expect(outcome).toMatchObject({
      kind: 'failed',
      failure: { class: 'outcome_unknown', paid: 'maybe' },
    });
    expect(row).toMatchObject({ state: 'unknown', ended_at: null });
    expect(await fixture.gateway().callModel(request, anOwner(2n))).toEqual(outcome);
    expect(sentOf(request)).toBe(1);
    expect(chargesOf(request)).toBe(paid);
  });

  it('is sent again where the step accepts it, and booked as a possible duplicate', async () => {
    const whenUnknown = 'resend';
    const { outcome, row, request } = await callWith(
      { kind: 'reset_after_charge' },
      { mode, whenUnknown },
    );
    expect(outcome).toMatchObject({ kind: 'completed' });
    expect(row).toMatchObject({ state: 'done', attempt_count: 2, possible_duplicate: true });
    expect(sentOf(request)).toBe(2);
  });
});

it('stops sending again after three times, and is held', async () => {
  const request = aRequest({ whenUnknown: 'resend' });
  fixture.simulator.addFaults([
    { match: { runId: request.runId }, fault: { kind: 'reset_after_charge' }, times: 'always' },
  ]);
  expect(await fixture.gateway().callModel(request, anOwner())).toMatchObject({
    kind: 'failed',
    failure: { class: 'outcome_unknown' },
  });
  expect(sentOf(request)).toBe(3);
});

it('knows that nothing was sent when nobody listens', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const request = aRequest();
  const baseUrl = `http://127.0.0.1:${port}/v1`;
  const outcome = await fixture.gateway({}, { baseUrl }).callModel(request, anOwner());
  expect(outcome).toMatchObject({ kind: 'parked', reason: 'outage' });
  expect(await fixture.rowOf(request)).toMatchObject({
    state: 'failed',
    failure: {
      class: 'not_sent',
      paid: 'no',
      message: expect.stringContaining('ECONNREFUSED') as string,
    },
  });
});

describe('a response that ends badly inside a 200', () => {
  it.each([
    ['server_error', 'server_error'],
    ['rate_limit_exceeded', 'throttled'],
    ['context_length_exceeded', 'too_large'],
    ['server_is_overloaded', 'overloaded'],
    ['invalid_prompt', 'policy'],
    ['vector_store_timeout', 'server_error'],
    ['invalid_image_format', 'invalid_request'],
    ['a code of next year', 'server_error'],
  ])('failed with %s is %s', async (code, failureClass) => {
    const { outcome, row } = await callWith({ kind: 'failed', code });
    expect(outcome).toMatchObject({
      kind: 'failed',
      failure: { class: failureClass, responseId: expect.stringMatching(/^resp_/) as string },
    });
    expect(row).toMatchObject({ state: 'failed' });
  });

  it('incomplete at its token limit is partial_output, paid, its usage kept', async () => {
    const { outcome, row } = await callWith({ kind: 'incomplete', reason: 'max_output_tokens' });
    expect(outcome).toMatchObject({
      kind: 'failed',
      failure: { class: 'partial_output', code: 'max_output_tokens', paid: 'yes' },
    });
    expect(row.usage).toMatchObject({ totalTokens: expect.any(Number) as number });
  });
});

describe('polling', () => {
  it.each<[string, Fault]>([
    ['401', { kind: 'status', status: 401, code: 'invalid_api_key' }],
    ['429', { kind: 'status', status: 429, code: 'rate_limit_exceeded' }],
    ['500', { kind: 'status', status: 500 }],
    ["a proxy's page", { kind: 'status', status: 502, body: '<html>' }],
    ['a reset', { kind: 'reset_before_read' }],
    ['a cut body', { kind: 'cut_body' }],
    ['broken JSON', { kind: 'broken_json' }],
    ['three 404s', { kind: 'status', status: 404 }],
  ])('survives %s: the call completes', async (_, fault) => {
    const request = aRequest();
    const { runId } = request;
    fixture.simulator.addFaults([{ match: { operation: 'retrieve', runId }, fault, times: 3 }]);
    const outcome = await fixture.gateway().callModel(request, anOwner());
    expect(outcome).toMatchObject({ kind: 'completed' });
    expect(chargesOf(request)).toBe(1);
  });

  it('does not take the 404s of a proxy for the end', async () => {
    const request = aRequest();
    const { runId } = request;
    const fault = { kind: 'status', status: 404, body: '<html>' } as const;
    fixture.simulator.addFaults([{ match: { operation: 'retrieve', runId }, fault, times: 5 }]);
    const outcome = await fixture.gateway().callModel(request, anOwner());
    expect(outcome).toMatchObject({ kind: 'completed' });
  });

  it('takes four 404s for the end: expired, paid', async () => {
    const request = aRequest();
    fixture.simulator.addFaults([
      {
        match: { operation: 'retrieve', runId: request.runId },
        fault: { kind: 'status', status: 404 },
        times: 'always',
      },
    ]);
    expect(await fixture.gateway().callModel(request, anOwner())).toMatchObject({
      kind: 'failed',
      failure: { class: 'expired', paid: 'yes' },
    });
  });
});

describe("at a call's deadline", () => {
  const slow = { kind: 'latency', ms: 600_000 } as const;
  /** The request has to be accepted within it, too. */
  const callTimeoutMs = 1_000;

  it('the response is cancelled, and the call is a time-out that may be tried again', async () => {
    const { outcome, row } = await callWith(slow, { callTimeoutMs });
    expect(outcome).toMatchObject({
      kind: 'failed',
      failure: { class: 'timeout', code: 'call_timeout', paid: 'maybe' },
    });
    expect(row).toMatchObject({ state: 'cancelled', usage: null });
  });

  it('a response that is still queued has a limit of its own', async () => {
    const request = aRequest();
    fixture.simulator.addFaults([{ match: { runId: request.runId }, fault: slow }]);
    const outcome = await fixture.gateway({ queuedTimeoutMs: 100 }).callModel(request, anOwner());
    expect(outcome).toMatchObject({ kind: 'failed', failure: { class: 'timeout' } });
    expect(chargesOf(request)).toBe(0);
  });

  it('a response that ended in the race is taken: it was paid for', async () => {
    const request = aRequest({ callTimeoutMs });
    const { runId } = request;
    fixture.simulator.addFaults([
      { match: { runId }, fault: { kind: 'latency', ms: callTimeoutMs + 100 } },
      {
        match: { operation: 'cancel', runId },
        fault: { kind: 'status', status: 500 },
        times: 'always',
      },
    ]);
    const outcome = await fixture.gateway().callModel(request, anOwner());
    expect(outcome).toMatchObject({ kind: 'completed' });
    expect(chargesOf(request)).toBe(1);
  });

  const taken = { kind: 'completed' };
  const timedOut = { kind: 'failed', failure: { class: 'timeout' } };
  const hangs: Fault = { kind: 'hang', ms: 600_000 };
  const isLost: Fault = { kind: 'reset_before_read' };
  it.each<[string, Fault[], object]>([
    ['the cancel comes after the end: its answer brings it', [hangs], taken],
    ['the first cancel gets lost, the second comes after the end', [isLost, hangs], taken],
    ['the answer to the cancel gets lost: the GET confirms it', [{ kind: 'cut_body' }], timedOut],
    [
      'a cancel gets lost, and the answer to the next: the GET confirms it',
      [isLost, { kind: 'reset_after_charge' }],
      timedOut,
    ],
  ])('%s', async (_, cancels, end) => {
    const request = aRequest({ callTimeoutMs });
    const { runId } = request;
    fixture.simulator.addFaults([
      { match: { runId }, fault: slow },
      ...cancels.map((fault) => ({ match: { operation: 'cancel' as const, runId }, fault })),
    ]);
    const call = fixture.gateway().callModel(request, anOwner());
    if (end === taken) {
      await until('the last cancel hangs', () => cancelsOf(request) === cancels.length);
      fixture.simulator.finish();
    }
    expect(await call).toMatchObject(end);
    const { state } = await fixture.rowOf(request);
    expect(state).toBe(end === taken ? 'done' : 'cancelled');
    const again = await fixture.gateway().callModel(request, anOwner(2n));
    expect(again).toMatchObject(end);
    expect(sentOf(request)).toBe(1);
    expect(chargesOf(request)).toBe(end === taken ? 1 : 0); // cancelled in the queue it costs nothing
  });

  it('the cancel is not answered in time: the GET brings the end', async () => {
    const request = aRequest({ callTimeoutMs });
    const { runId } = request;
    fixture.simulator.addFaults([
      { match: { runId }, fault: { kind: 'latency', ms: callTimeoutMs + 100 } },
      { match: { operation: 'cancel', runId }, fault: hangs },
    ]);
    const gateway = fixture.gateway({ requestTimeoutMs: 1_000 });
    expect(await gateway.callModel(request, anOwner())).toMatchObject(taken);
    expect([sentOf(request), cancelsOf(request), chargesOf(request)]).toEqual([1, 1, 1]);
  });

  it.each([
    ['ends in the race', hangs, taken],
    ['does not', { kind: 'hang', ms: 100 }, timedOut],
  ] as const)(
    'two owners who both cancel a response that %s come to one end',
    async (_, cancels, end) => {
      const request = aRequest({ callTimeoutMs });
      const { runId } = request;
      fixture.simulator.addFaults([
        { match: { runId }, fault: slow },
        { match: { operation: 'cancel', runId }, fault: cancels, times: 2 },
      ]);
      const late = fixture.gateway().callModel(request, anOwner(1n));
      await until('accepted', async () => {
        return (await fixture.rowOf(request)).state === 'accepted';
      });
      const next = fixture.gateway().callModel(request, anOwner(2n));
      if (end === taken) {
        await until('both cancels hang', () => cancelsOf(request) === 2);
        fixture.simulator.finish();
      }
      expect(await next).toMatchObject(end);
      const { state, response_id, output } = await fixture.rowOf(request);
      await late;
      expect(await fixture.rowOf(request)).toMatchObject({
        ...{ state, response_id, output },
      });
      expect(sentOf(request)).toBe(1);
    },
  );

  it('a cancel that is not confirmed leaves the outcome unknown, and the call open', async () => {
    const request = aRequest({ callTimeoutMs });
    const { runId } = request;
    fixture.simulator.addFaults([
      { match: { runId }, fault: slow },
      {
        match: { operation: 'cancel', runId },
        fault: { kind: 'status', status: 500 },
        times: 'always',
      },
    ]);
    const gateway = fixture.gateway({ cancelGraceMs: 100 });
    expect(await gateway.callModel(request, anOwner())).toMatchObject({
      kind: 'failed',
      failure: { class: 'outcome_unknown', code: 'cancel_unconfirmed' },
    });
    expect(await fixture.rowOf(request)).toMatchObject({ state: 'accepted' });
    fixture.simulator.finish();
    expect(await fixture.gateway().callModel(request, anOwner(2n))).toMatchObject({
      kind: 'completed',
    });
    expect(chargesOf(request)).toBe(1);
  });
});

/** How often it was cancelled at OpenAI, or tried to be. */
function cancelsOf(request: ModelCallRequest): number {
  return fixture.simulator
    .requests()
    .filter((one) => one.operation === 'cancel' && one.callId === callIdOf(request)).length;
}

it('keeps prompt and output text out of failures, ledger and logs', async () => {
  const secret = 'The bidder is Quandary Holdings and its price is 4711 dollars';
  const faults: Fault[] = [
    {
      kind: 'status',
      status: 400,
      code: 'invalid_type',
      message: `Invalid: '${secret}' is not it.`,
    },
    { kind: 'status', status: 500, message: `Could not work on ${secret}` },
    { kind: 'reset_after_charge' },
    { kind: 'broken_json' },
    { kind: 'failed', code: 'server_error', message: `Stopped at ${secret}` },
    { kind: 'incomplete', reason: 'max_output_tokens' },
  ];
  for (const fault of faults) {
    const { outcome, row } = await callWith(fault, { input: secret });
    const { output: _, ...kept } = row;
    const seen = JSON.stringify([outcome, kept], (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    expect(outcome.kind).toBe('failed');
    expect(seen).not.toContain('Quandary');
  }
  expect(fixture.logged()).not.toContain('Quandary');
});
