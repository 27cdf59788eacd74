import fc from 'fast-check';
import { failureClasses, type FailureClass } from '#libs/domain';
import { breakerEffects, type BreakerEffect } from './breaker-effect.js';
import type { CallFact, RefusedRequest } from './call-fact.js';
import { classifyFailure, findRow } from './classify-failure.js';
import { classificationTable } from './classification-table.js';

type Paid = ReturnType<typeof classifyFailure>['paid'];
const context = { nowMs: 0, sentTexts: [] };
const refused = (status: number, changes: Partial<RefusedRequest> = {}): RefusedRequest => ({
  kind: 'refused',
  status,
  isOpenAis: true,
  code: null,
  param: null,
  message: '',
  headers: new Headers(),
  requestId: 'req_1',
  ...changes,
});
const withCode = (status: number, code: string) => refused(status, { code });
const failedWith = (code: string | null): CallFact => ({
  kind: 'failed_response',
  code,
  responseId: 'resp_1',
  requestId: 'req_1',
});
const noAnswer = (requestLeft: boolean): CallFact => ({
  kind: 'no_answer',
  requestLeft,
  cause: 'ECONNRESET',
  httpStatus: null,
  requestId: null,
});
const tooLarge =
  'Request too large for gpt-5.2 on tokens per min (TPM): Limit 30000, Requested 45000.';
const ids = { responseId: 'resp_1', requestId: null };

const facts: [string, CallFact, FailureClass, Paid, BreakerEffect][] = [
  ['nothing left', noAnswer(false), 'not_sent', 'no', 'transient'],
  ['left, no answer', noAnswer(true), 'outcome_unknown', 'maybe', 'transient'],
  [
    "502 of a proxy's own",
    refused(502, { isOpenAis: false }),
    'outcome_unknown',
    'maybe',
    'transient',
  ],
  [
    '520 of Cloudflare',
    refused(520, { isOpenAis: false }),
    'outcome_unknown',
    'maybe',
    'transient',
  ],
  [
    '503 of nobody known',
    refused(503, { isOpenAis: false }),
    'outcome_unknown',
    'maybe',
    'transient',
  ],
  ['408', refused(408), 'outcome_unknown', 'maybe', 'transient'],
  ['sender died', { kind: 'sender_died' }, 'outcome_unknown', 'maybe', 'none'],
  ['response gone', { kind: 'response_gone', ...ids }, 'expired', 'yes', 'none'],
  ['model_not_found, 404', withCode(404, 'model_not_found'), 'configuration', 'no', 'latch_model'],
  ['model_not_found, 403', withCode(403, 'model_not_found'), 'configuration', 'no', 'latch_model'],
  ['model_not_found, 400', withCode(400, 'model_not_found'), 'configuration', 'no', 'latch_model'],
  [
    'data residency',
    withCode(401, 'data_residency_mismatch'),
    'configuration',
    'no',
    'latch_model',
  ],
  [
    'service tier not allowed',
    refused(400, { code: 'invalid_value', param: 'service_tier' }),
    ...(['configuration', 'no', 'latch_model'] as const),
  ],
  [
    'service tier not allowed, by its message',
    refused(403, { message: "service_tier 'priority' is not available for this project." }),
    ...(['configuration', 'no', 'latch_model'] as const),
  ],
  ['no quota, 429', withCode(429, 'insufficient_quota'), 'billing', 'no', 'latch_account'],
  ['no credit, 403', withCode(403, 'credit_balance_exhausted'), 'billing', 'no', 'latch_account'],
  [
    'hard limit, 400',
    withCode(400, 'billing_hard_limit_reached'),
    'billing',
    'no',
    'latch_account',
  ],
  ['401', withCode(401, 'invalid_api_key'), 'authorization', 'no', 'latch_account'],
  [
    '403, code unknown',
    withCode(403, 'unsupported_country_region_territory'),
    'authorization',
    'no',
    'latch_account',
  ],
  ['403, no code', refused(403), 'authorization', 'no', 'latch_account'],
  ['too long', withCode(400, 'context_length_exceeded'), 'too_large', 'no', 'none'],
  [
    '429 too large',
    refused(429, { code: 'rate_limit_exceeded', message: tooLarge }),
    'too_large',
    'no',
    'none',
  ],
  [
    '429 that asks for more than the limit',
    refused(429, { message: 'TPM: Limit 30000, Used 0, Requested 30001.' }),
    'too_large',
    'no',
    'none',
  ],
  [
    '429 that would fit later',
    refused(429, { message: 'TPM: Limit 30000, Used 29999, Requested 500.' }),
    'throttled',
    'no',
    'shrink_bucket',
  ],
  ['policy', withCode(400, 'content_policy_violation'), 'policy', 'maybe', 'none'],
  ['invalid prompt', withCode(400, 'invalid_prompt'), 'policy', 'maybe', 'none'],
  ['locked, 400', withCode(400, 'conversation_locked'), 'contended', 'no', 'none'],
  [
    'its conversation removed',
    refused(404, { message: "Conversation with id 'conv_1' not found." }),
    ...(['contended', 'no', 'none'] as const),
  ],
  ['409', refused(409), 'contended', 'no', 'none'],
  ['429 rate limit', withCode(429, 'rate_limit_exceeded'), 'throttled', 'no', 'shrink_bucket'],
  ['429, code unknown', withCode(429, 'something_new'), 'throttled', 'no', 'shrink_bucket'],
  ['429 slow down', withCode(429, 'slow_down'), 'overloaded', 'no', 'aimd'],
  ['429 flex', withCode(429, 'resource_unavailable'), 'overloaded', 'no', 'aimd'],
  ['503 overloaded', withCode(503, 'server_is_overloaded'), 'overloaded', 'no', 'aimd'],
  ['400', refused(400), 'invalid_request', 'no', 'none'],
  ['404 on POST', refused(404), 'invalid_request', 'no', 'none'],
  ['413', refused(413), 'invalid_request', 'no', 'none'],
  ['422', refused(422), 'invalid_request', 'no', 'none'],
  ['418, unknown', refused(418, { isOpenAis: false }), 'invalid_request', 'no', 'none'],
  ['301', refused(301, { isOpenAis: false }), 'configuration', 'no', 'latch_account'],
  ['500', refused(500), 'server_error', 'no', 'transient'],
  ['503', refused(503), 'server_error', 'no', 'transient'],
  ['599, unknown', withCode(599, 'whatever'), 'server_error', 'no', 'transient'],
  ['failed: server_error', failedWith('server_error'), 'server_error', 'maybe', 'transient'],
  ['failed: rate limit', failedWith('rate_limit_exceeded'), 'throttled', 'maybe', 'shrink_bucket'],
  ['failed: no quota', failedWith('insufficient_quota'), 'billing', 'maybe', 'latch_account'],
  ['failed: too long', failedWith('context_length_exceeded'), 'too_large', 'maybe', 'none'],
  ['failed: overloaded', failedWith('server_is_overloaded'), 'overloaded', 'maybe', 'aimd'],
  ['failed: prompt', failedWith('invalid_prompt'), 'policy', 'maybe', 'none'],
  ['failed: bio policy', failedWith('bio_policy'), 'policy', 'maybe', 'none'],
  [
    'failed: vector store',
    failedWith('vector_store_timeout'),
    'server_error',
    'maybe',
    'transient',
  ],
  ['failed: image', failedWith('invalid_base64_image'), 'invalid_request', 'maybe', 'none'],
  ['failed: image policy', failedWith('image_content_policy_violation'), 'policy', 'maybe', 'none'],
  ['failed: no code', failedWith(null), 'server_error', 'maybe', 'transient'],
  [
    'incomplete',
    { kind: 'incomplete_response', reason: 'max_output_tokens', ...ids },
    'partial_output',
    'yes',
    'none',
  ],
  [
    'deadline',
    { kind: 'deadline_passed', cancelConfirmed: true, ...ids },
    'timeout',
    'maybe',
    'transient',
  ],
  [
    'deadline, no cancel',
    { kind: 'deadline_passed', cancelConfirmed: false, ...ids },
    'outcome_unknown',
    'maybe',
    'transient',
  ],
  ['cancelled elsewhere', { kind: 'cancelled_elsewhere', ...ids }, 'server_error', 'maybe', 'none'],
  [
    'cancelled with its run',
    { kind: 'cancelled_on_request', ...ids },
    'cancelled',
    'maybe',
    'none',
  ],
];

it.each(facts)('%s', (_, fact, failureClass, paid, breaker) => {
  expect(classifyFailure(fact, context)).toMatchObject({ class: failureClass, paid, breaker });
});

it('each row of the table is reached by some fact: none hides behind an earlier one', () => {
  const reached = new Set(facts.map(([, fact]) => findRow(fact).name));
  expect(classificationTable.map((row) => row.name).filter((name) => !reached.has(name))).toEqual(
    [],
  );
});

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', 'rate_limit_exceeded', 'x'),
);
const anyIds = { responseId: anyText, requestId: fc.option(anyText) };
const anyHeaders = fc
  .dictionary(
    fc.constantFrom('retry-after', 'retry-after-ms', 'x-ratelimit-reset-tokens'),
    fc.stringMatching(/^[ -~]*$/),
  )
  .map((values) => new Headers(values));
const anyFact: fc.Arbitrary<CallFact> = fc.oneof(
  fc.record({
    kind: fc.constant('no_answer' as const),
    ...{ requestLeft: fc.boolean(), cause: anyText, httpStatus: fc.option(fc.nat(999)) },
    requestId: fc.option(anyText),
  }),
  fc.record({
    kind: fc.constant('refused' as const),
    status: fc.integer({ min: 300, max: 999 }),
    isOpenAis: fc.boolean(),
    ...{ code: fc.option(anyText), param: fc.option(anyText), message: anyText },
    headers: anyHeaders,
    requestId: fc.option(anyText),
  }),
  fc.record({
    ...{ kind: fc.constant('failed_response' as const), code: fc.option(anyText), ...anyIds },
  }),
  fc.record({
    ...{ kind: fc.constant('incomplete_response' as const), reason: fc.option(anyText), ...anyIds },
  }),
  fc.record({
    ...{ kind: fc.constant('deadline_passed' as const), cancelConfirmed: fc.boolean(), ...anyIds },
  }),
  fc.record({
    kind: fc.constantFrom('response_gone', 'cancelled_elsewhere', 'cancelled_on_request'),
    ...anyIds,
  }),
  fc.constant({ kind: 'sender_died' as const }),
);

it('every fact has a class and an effect, whatever OpenAI invents; a wait is finite and no longer than a day', () => {
  fc.assert(
    fc.property(anyFact, (fact) => {
      const failure = classifyFailure(fact, context);
      expect(failureClasses).toContain(failure.class);
      expect(Object.keys(breakerEffects)).toContain(failure.breaker);
      expect(Buffer.byteLength(failure.message)).toBeLessThanOrEqual(1_024);
      expect(failure.retryAfterMs ?? 0).toBeGreaterThanOrEqual(0);
      expect(failure.retryAfterMs ?? 0).toBeLessThanOrEqual(86_400_000);
    }),
    { numRuns: 1_000 },
  );
});

it('an unknown 4xx is not sent again; a 5xx that is not OpenAI’s own is never taken for unpaid', () => {
  fc.assert(
    fc.property(fc.integer({ min: 400, max: 499 }), (status) => {
      fc.pre(![401, 403, 408, 409, 429].includes(status));
      expect(classifyFailure(refused(status), context).class).toBe('invalid_request');
    }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 500, max: 599 }), fc.string(), (status, message) => {
      const failure = classifyFailure(refused(status, { isOpenAis: false, message }), context);
      expect(failure).toMatchObject({ class: 'outcome_unknown', paid: 'maybe' });
    }),
  );
});

describe('how long to wait', () => {
  it('is at least what Retry-After says, for every class', () => {
    const headers = new Headers({ 'retry-after': '30' });
    expect(classifyFailure(refused(429, { headers }), context).retryAfterMs).toBe(30_000);
    expect(classifyFailure(refused(503, { headers }), context).retryAfterMs).toBe(30_000);
    expect(classifyFailure(refused(409, { headers }), context).retryAfterMs).toBe(30_000);
  });

  it('has a floor where OpenAI says nothing: contended 2 s, throttled inside a 200 20 s', () => {
    const headers = new Headers({ 'retry-after': '1' });
    expect(classifyFailure(refused(409, { headers }), context).retryAfterMs).toBe(2_000);
    expect(classifyFailure(failedWith('rate_limit_exceeded'), context).retryAfterMs).toBe(20_000);
    expect(classifyFailure(refused(500), context).retryAfterMs).toBeNull();
  });

  it.each([
    ['a lock', withCode(400, 'conversation_locked')],
    ['a removal', refused(404, { message: "Conversation with id 'conv_1' not found." })],
  ])('has it for %s of the conversation, too', (_, fact) => {
    expect(classifyFailure(fact, context).retryAfterMs).toBe(2_000);
  });

  it.each([
    ['a rate limit', withCode(429, 'rate_limit_exceeded'), 6_000],
    ['an overload', withCode(503, 'server_is_overloaded'), 6_000],
    ['the flex tier without room', withCode(429, 'resource_unavailable'), 6_000],
    ['a fault, which is about no limit', refused(500), null],
  ])('is read from the limit that is used up, for %s', (_, fact, waitMs) => {
    const headers = new Headers({
      ...{ 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '6s' },
    });
    expect(classifyFailure({ ...fact, headers }, context).retryAfterMs).toBe(waitMs);
  });
});

describe('what is said', () => {
  it("keeps OpenAI's words where somebody must mend the request", () => {
    const message = "Invalid type for 'text.format': expected an object.";
    expect(classifyFailure(refused(400, { message }), context).message).toContain(message);
  });

  it("leaves OpenAI's words out where they show more than they help", () => {
    const message = 'Incorrect API key provided: sk-abc***xyz.';
    expect(classifyFailure(refused(401, { message }), context).message).not.toContain('sk-abc');
  });

  it('never repeats what was sent', () => {
    const sent = 'The contractor shall deliver forty blue boxes by May';
    const failure = classifyFailure(
      refused(400, { message: `Invalid value: '${sent.slice(4, 40)}'. Expected something else.` }),
      { nowMs: 0, sentTexts: ['Be brief.', sent] },
    );
    expect(failure.message).toContain("Invalid value: '[…]'. Expected something else.");
    expect(failure.message).not.toContain('contractor');
  });
});
