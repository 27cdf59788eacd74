/**
 * Every row of the classification, over the wire: what a call comes to, what may have been paid, what is said of the calls after it.
 * Real: Postgres, HTTP, the openai SDK, undici. Stands in: OpenAI (dev/simulator). What is expected is written out by hand, row by
 * row, as the policy has it; that the table decides so is the promise.
 */
import {
  callIdOf,
  classificationTable,
  type CallFailure,
  type ModelCallRequest,
} from '#libs/openai-gateway';
import type { Fault } from '../../../dev/simulator/faults.js';
import { anOwner, aRequest, gatewayFixture, until } from '../../support/gateway.js';

const fixture = gatewayFixture();

type Expected = Pick<CallFailure, 'class' | 'paid' | 'breaker'> & Partial<CallFailure>;
const is = (
  failureClass: CallFailure['class'],
  paid: CallFailure['paid'],
  breaker: CallFailure['breaker'],
  further: Partial<CallFailure> = {},
): Expected => ({ class: failureClass, paid, breaker, ...further });

const refusal = (status: number, code: string | null = null, message?: string): Fault => ({
  kind: 'status',
  ...{ status, code, ...(message !== undefined && { message }) },
});
const ended = (code: string): Fault => ({ kind: 'failed', code });
/** As a proxy answers: not in OpenAI's form. */
const page = (status: number): Fault => ({ kind: 'status', status, body: '<html>Busy</html>' });

const unknown = is('outcome_unknown', 'maybe', 'transient', { retryAfterMs: null });
const model = is('configuration', 'no', 'latch_model');
const billing = is('billing', 'no', 'latch_account');
const key = is('authorization', 'no', 'latch_account');
const large = is('too_large', 'no', 'none');
const policy = is('policy', 'maybe', 'none');
const contended = is('contended', 'no', 'none', { retryAfterMs: 2_000 });
const throttled = is('throttled', 'no', 'shrink_bucket');
const overloaded = is('overloaded', 'no', 'aimd');
const invalid = is('invalid_request', 'no', 'none');
const serverError = is('server_error', 'no', 'transient');
const failedAtWork = is('server_error', 'maybe', 'transient', { httpStatus: 200 });

type Line = readonly [row: string, what: string, fault: Fault, expected: Expected];
const lines: readonly Line[] = [
  ['left, and no answer that can be read', 'a reset', { kind: 'reset_after_charge' }, unknown],
  ['left, and no answer that can be read', 'a cut body', { kind: 'cut_body' }, unknown],
  ['left, and no answer that can be read', 'no JSON', { kind: 'broken_json' }, unknown],
  ["a 5xx that is not OpenAI's own", 'a 502 page', page(502), unknown],
  ["a 5xx that is not OpenAI's own", 'a 503 page', page(503), unknown],
  ["a 5xx that is not OpenAI's own", 'a 504 page', page(504), unknown],
  ["a 5xx that is not OpenAI's own", 'a 520 page', page(520), unknown],
  ["a 5xx that is not OpenAI's own", 'a 524 page', page(524), unknown],
  ['408', '408', refusal(408), unknown],
  ...[400, 403, 404].map((status): Line => [
    ...(['configuration codes', `model_not_found, ${status}`] as const),
    refusal(status, 'model_not_found'),
    model,
  ]),
  ['configuration codes', 'region', refusal(401, 'data_residency_mismatch'), model],
  [
    ...(['service tier not allowed', 'by its message'] as const),
    refusal(400, 'invalid_value', "service_tier 'priority' is not available for this project."),
    model,
  ],
  ...[
    'credit_balance_exhausted',
    'insufficient_quota',
    'billing_hard_limit_reached',
    'organization_spend_limit_exceeded',
    'project_spend_limit_exceeded',
    'organization_usage_limit_exceeded',
  ].flatMap((code) =>
    [429, 403, 400].map((status): Line => [
      'billing codes',
      `${code}, ${status}`,
      refusal(status, code),
      billing,
    ]),
  ),
  ['401', '401', refusal(401, 'invalid_api_key'), key],
  ['401', 'a 401 page', page(401), key],
  ['403 with no known code', '403', refusal(403, 'unsupported_country_region_territory'), key],
  ['too long for the model', '400', refusal(400, 'context_length_exceeded'), large],
  [
    ...(['asks for more than the limit', 'in words'] as const),
    refusal(429, 'rate_limit_exceeded', 'Request too large for gpt-5.2 on tokens per min (TPM).'),
    large,
  ],
  [
    ...(['asks for more than the limit', 'in numbers'] as const),
    refusal(429, 'rate_limit_exceeded', 'TPM: Limit 30000, Used 0, Requested 30001.'),
    large,
  ],
  ['policy codes', 'invalid_prompt', refusal(400, 'invalid_prompt'), policy],
  ['policy codes', 'content policy', refusal(400, 'content_policy_violation'), policy],
  ['conversation locked', '400', refusal(400, 'conversation_locked'), contended],
  ['conversation locked', '409', refusal(409, 'conversation_locked'), contended],
  [
    'conversation gone',
    '404',
    refusal(404, null, "Conversation with id 'c' not found."),
    contended,
  ],
  ['409', '409', refusal(409), contended],
  ['rate limit, and any other 429', 'by code', refusal(429, 'rate_limit_exceeded'), throttled],
  ['rate limit, and any other 429', 'code unknown', refusal(429, 'of_next_year'), throttled],
  ['rate limit, and any other 429', "a proxy's", page(429), throttled],
  ['overloaded codes', 'slow_down', refusal(429, 'slow_down'), overloaded],
  ['overloaded codes', '503', refusal(503, 'server_is_overloaded'), overloaded],
  ['overloaded codes', 'flex', refusal(429, 'resource_unavailable'), overloaded],
  ['any other 4xx', '400', refusal(400, 'unknown_parameter'), invalid],
  ['any other 4xx', '404', refusal(404), invalid],
  ['any other 4xx', '413', refusal(413), invalid],
  ['any other 4xx', '415', refusal(415), invalid],
  ['any other 4xx', '422', refusal(422), invalid],
  ['any other 4xx', '418, unknown', refusal(418, 'of_next_year'), invalid],
  ["a 5xx of OpenAI's own", '500', refusal(500), serverError],
  ["a 5xx of OpenAI's own", '503', refusal(503), serverError],
  ["a 5xx of OpenAI's own", '599, unknown', refusal(599, 'of_next_year'), serverError],
  [
    ...(['redirect: the base URL is not the API', '308'] as const),
    { kind: 'status', status: 308, headers: { location: 'http://127.0.0.1:1/' }, body: '' },
    is('configuration', 'no', 'latch_account'),
  ],
  ['billing codes', 'inside a 200', ended('insufficient_quota'), { ...billing, paid: 'maybe' }],
  [
    'too long for the model',
    'inside a 200',
    ended('context_length_exceeded'),
    { ...large, paid: 'maybe' },
  ],
  [
    'overloaded codes',
    'inside a 200',
    ended('server_is_overloaded'),
    { ...overloaded, paid: 'maybe' },
  ],
  [
    ...(['throttled inside a 200', 'rate_limit_exceeded'] as const),
    ended('rate_limit_exceeded'),
    is('throttled', 'maybe', 'shrink_bucket', { retryAfterMs: 20_000 }),
  ],
  ['policy codes', 'inside a 200', ended('invalid_prompt'), policy],
  ['failed for any other reason', 'vector store', ended('vector_store_timeout'), failedAtWork],
  ['failed for any other reason', 'server_error', ended('server_error'), failedAtWork],
  ['failed for any other reason', 'unknown', ended('of_next_year'), failedAtWork],
  [
    ...(['failed for an image', 'image'] as const),
    ended('invalid_image_format'),
    is('invalid_request', 'maybe', 'none'),
  ],
  [
    ...(['incomplete', 'max_output_tokens'] as const),
    { kind: 'incomplete', reason: 'max_output_tokens' },
    is('partial_output', 'yes', 'none', { code: 'max_output_tokens' }),
  ],
];

it.each(lines)('%s: %s', async (_row, _what, fault, expected) => {
  const failure = await failureOf({ fault });
  expect(failure).toMatchObject(expected);
});

async function failureOf(
  { fault, operation }: { fault?: Fault; operation?: 'retrieve' | 'cancel' },
  request: ModelCallRequest = aRequest(),
  gateway = fixture.gateway(),
): Promise<CallFailure> {
  const match = { runId: request.runId, ...(operation && { operation }) };
  if (fault) fixture.simulator.addFaults([{ match, fault, times: 'always' }]);
  const outcome = await gateway.callModel(request, anOwner());
  if (outcome.kind === 'parked') return bookedFailure(request); // a fault of its lane
  if (outcome.kind !== 'failed') throw new Error(`the call was not to be ${outcome.kind}`);
  return outcome.failure;
}

async function bookedFailure(request: ModelCallRequest): Promise<CallFailure> {
  return (await fixture.rowOf(request)).failure as CallFailure;
}

/** The request has to be accepted within it. */
const callTimeoutMs = 1_000;

const notByTheAnswer: Readonly<Record<string, () => Promise<void>>> = {
  'nothing left': async () => {
    const sent = is('not_sent', 'no', 'transient');
    for (const baseUrl of ['http://127.0.0.1:1/v1', 'http://not-there.invalid/v1'])
      expect(await failureOf({}, aRequest(), fixture.gateway({}, { baseUrl }))).toMatchObject(sent);
    // A server that speaks no TLS: its set-up fails before a byte of the request may leave.
    const baseUrl = fixture.simulator.baseUrl.replace('http:', 'https:');
    expect(await failureOf({}, aRequest(), fixture.gateway({}, { baseUrl }))).toMatchObject(sent);
  },
  'sender died': async () => {
    const request = aRequest();
    fixture.simulator.addFaults([
      { match: { runId: request.runId }, fault: { kind: 'hang', ms: 60_000 } },
    ]);
    const dying = anOwner(1n);
    const before = fixture.gateway().callModel(request, dying);
    await until('sent', () =>
      fixture.simulator.requests().some(({ callId }) => callId === callIdOf(request)),
    );
    dying.stop();
    await before;
    const after = await fixture.gateway().callModel(request, anOwner(2n));
    expect(after).toMatchObject({ failure: is('outcome_unknown', 'maybe', 'none') });
  },
  'response gone': async () => {
    const gone = await failureOf({ fault: refusal(404), operation: 'retrieve' });
    expect(gone).toMatchObject(is('expired', 'yes', 'none'));
  },
  "the call's deadline, cancel confirmed": async () => {
    const late = await failureOf(
      { fault: { kind: 'latency', ms: 600_000 } },
      aRequest({ callTimeoutMs }),
    );
    expect(late).toMatchObject(is('timeout', 'maybe', 'transient'));
  },
  "the call's deadline, cancel not confirmed": async () => {
    const request = aRequest({ callTimeoutMs });
    fixture.simulator.addFaults([
      { match: { runId: request.runId }, fault: { kind: 'latency', ms: 600_000 } },
    ]);
    const gateway = fixture.gateway({ cancelGraceMs: 50 });
    const late = await failureOf({ fault: refusal(500), operation: 'cancel' }, request, gateway);
    expect(late).toMatchObject(unknown);
  },
  'cancelled by somebody else': async () => {
    const request = aRequest();
    fixture.simulator.addFaults([
      { match: { runId: request.runId }, fault: { kind: 'latency', ms: 600_000 } },
    ]);
    const call = failureOf({}, request);
    await until('accepted', async () => (await stateOf(request)) === 'accepted');
    await cancelAtOpenAi(request);
    expect(await call).toMatchObject(is('server_error', 'maybe', 'none'));
  },
  'cancelled with its run': async () => {
    const request = aRequest();
    fixture.simulator.addFaults([
      { match: { runId: request.runId }, fault: { kind: 'latency', ms: 600_000 } },
    ]);
    const gateway = fixture.gateway();
    const owner = anOwner();
    const call = gateway.callModel(request, owner);
    await until('accepted', async () => (await stateOf(request)) === 'accepted');
    owner.stop();
    await call;
    await gateway.closeCalls(request.runId, new AbortController().signal);
    const { failure } = await fixture.rowOf(request);
    expect(failure).toMatchObject(is('cancelled', 'maybe', 'none'));
  },
};

it.each(Object.entries(notByTheAnswer))('%s', (_, played) => played());

async function stateOf(request: ModelCallRequest): Promise<unknown> {
  return (await fixture.rowOf(request)).state;
}

async function cancelAtOpenAi(request: ModelCallRequest): Promise<void> {
  const { response_id } = await fixture.rowOf(request);
  const url = `${fixture.simulator.baseUrl}/responses/${String(response_id)}/cancel`;
  await fetch(url, { method: 'POST', headers: { authorization: 'Bearer sk-somebody-else' } });
}

it('leaves out no row of the table', () => {
  const played = new Set([...lines.map(([row]) => row), ...Object.keys(notByTheAnswer)]);
  expect([...played].sort()).toEqual(classificationTable.map(({ name }) => name).sort());
});

describe('how long to wait, as OpenAI says it', () => {
  const asked: [string, Record<string, string>, string | undefined, number | null][] = [
    ['retry-after-ms', { 'retry-after-ms': '1500', 'retry-after': '9' }, undefined, 1_500],
    ['Retry-After in seconds', { 'retry-after': '7' }, undefined, 7_000],
    ['Retry-After as a date long past', { 'retry-after': 'Sun, 06 Nov 1994 08:49:37 GMT' }, '', 0],
    [
      'the reset of the limit that is used up',
      {
        ...{ 'x-ratelimit-remaining-requests': '10', 'x-ratelimit-reset-requests': '9m' },
        ...{ 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '6m0s' },
      },
      undefined,
      360_000,
    ],
    ['the message', {}, 'Limit reached. Please try again in 1m2.5s.', 62_500],
    ['-5', { 'retry-after': '-5', 'retry-after-ms': '-5' }, undefined, null],
    ['a year', { 'retry-after': '31536000' }, undefined, null],
    ['a year, as a date', { 'retry-after': 'Fri, 01 Jan 2100 00:00:00 GMT' }, undefined, null],
    ['garbage', { 'retry-after': 'soon', 'retry-after-ms': 'NaN' }, 'try again in a bit', null],
  ];

  it.each(asked)('%s', async (_, headers, message, retryAfterMs) => {
    const fault: Fault = {
      ...{ kind: 'status', status: 429, code: 'rate_limit_exceeded', headers },
      ...(message !== undefined && { message }),
    };
    expect(await failureOf({ fault })).toMatchObject({ class: 'throttled', retryAfterMs });
  });
});

describe('what is a result, however it came', () => {
  it.each<[string, Fault]>([
    ['a refusal', { kind: 'refusal', text: 'I cannot help with that.' }],
    ['a cut by the content filter', { kind: 'incomplete', reason: 'content_filter' }],
  ])('%s', async (_, fault) => {
    const request = aRequest();
    fixture.script(request, fault);
    const outcome = await fixture.gateway().callModel(request, anOwner());
    expect(outcome).toMatchObject({ kind: 'completed', output: { kind: 'refusal' } });
    expect(fixture.simulator.charges().byRunId[request.runId]).toBe(1);
  });
});
