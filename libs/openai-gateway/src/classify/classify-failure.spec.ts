import fc from 'fast-check';
import { failureClasses } from '#libs/domain';
import type { CallFact, RefusedRequest } from './call-fact.js';
import { classifyFailure, findRow } from './classify-failure.js';
import { classificationTable } from './classification-table.js';

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

const facts: [string, CallFact, string, string][] = [
  ['nothing left', noAnswer(false), 'not_sent', 'no'],
  ['left, no answer', noAnswer(true), 'outcome_unknown', 'maybe'],
  ["502 of a proxy's own", refused(502, { isOpenAis: false }), 'outcome_unknown', 'maybe'],
  ['520 of Cloudflare', refused(520, { isOpenAis: false }), 'outcome_unknown', 'maybe'],
  ['503 of nobody known', refused(503, { isOpenAis: false }), 'outcome_unknown', 'maybe'],
  ['408', refused(408), 'outcome_unknown', 'maybe'],
  ['sender died', { kind: 'sender_died' }, 'outcome_unknown', 'maybe'],
  ['response gone', { kind: 'response_gone', ...ids }, 'expired', 'yes'],
  ['model_not_found, 404', withCode(404, 'model_not_found'), 'configuration', 'no'],
  ['model_not_found, 403', withCode(403, 'model_not_found'), 'configuration', 'no'],
  ['model_not_found, 400', withCode(400, 'model_not_found'), 'configuration', 'no'],
  ['data residency', withCode(401, 'data_residency_mismatch'), 'configuration', 'no'],
  ['no quota, 429', withCode(429, 'insufficient_quota'), 'billing', 'no'],
  ['no credit, 403', withCode(403, 'credit_balance_exhausted'), 'billing', 'no'],
  ['hard limit, 400', withCode(400, 'billing_hard_limit_reached'), 'billing', 'no'],
  ['401', withCode(401, 'invalid_api_key'), 'authorization', 'no'],
  [
    '403, code unknown',
    withCode(403, 'unsupported_country_region_territory'),
    'authorization',
    'no',
  ],
  ['403, no code', refused(403), 'authorization', 'no'],
  ['too long', withCode(400, 'context_length_exceeded'), 'too_large', 'no'],
  [
    '429 too large',
    refused(429, { code: 'rate_limit_exceeded', message: tooLarge }),
    'too_large',
    'no',
  ],
  [
    '429 that asks for more than the limit',
    refused(429, { message: 'TPM: Limit 30000, Used 0, Requested 30001.' }),
    'too_large',
    'no',
  ],
  [
    '429 that would fit later',
    refused(429, { message: 'TPM: Limit 30000, Used 29999, Requested 500.' }),
    'throttled',
    'no',
  ],
  ['policy', withCode(400, 'content_policy_violation'), 'policy', 'maybe'],
  ['invalid prompt', withCode(400, 'invalid_prompt'), 'policy', 'maybe'],
  ['locked, 400', withCode(400, 'conversation_locked'), 'contended', 'no'],
  ['409', refused(409), 'contended', 'no'],
  ['429 rate limit', withCode(429, 'rate_limit_exceeded'), 'throttled', 'no'],
  ['429, code unknown', withCode(429, 'something_new'), 'throttled', 'no'],
  ['429 slow down', withCode(429, 'slow_down'), 'overloaded', 'no'],
  ['429 flex', withCode(429, 'resource_unavailable'), 'overloaded', 'no'],
  ['503 overloaded', withCode(503, 'server_is_overloaded'), 'overloaded', 'no'],
  ['400', refused(400), 'invalid_request', 'no'],
  ['404 on POST', refused(404), 'invalid_request', 'no'],
  ['413', refused(413), 'invalid_request', 'no'],
  ['422', refused(422), 'invalid_request', 'no'],
  ['418, unknown', refused(418, { isOpenAis: false }), 'invalid_request', 'no'],
  ['301', refused(301, { isOpenAis: false }), 'configuration', 'no'],
  ['500', refused(500), 'server_error', 'no'],
  ['503', refused(503), 'server_error', 'no'],
  ['599, unknown', withCode(599, 'whatever'), 'server_error', 'no'],
  ['failed: server_error', failedWith('server_error'), 'server_error', 'maybe'],
  ['failed: rate limit', failedWith('rate_limit_exceeded'), 'throttled', 'maybe'],
  ['failed: no quota', failedWith('insufficient_quota'), 'billing', 'no'],
  ['failed: too long', failedWith('context_length_exceeded'), 'too_large', 'no'],
  ['failed: overloaded', failedWith('server_is_overloaded'), 'overloaded', 'no'],
  ['failed: prompt', failedWith('invalid_prompt'), 'policy', 'maybe'],
  ['failed: bio policy', failedWith('bio_policy'), 'policy', 'maybe'],
  ['failed: vector store', failedWith('vector_store_timeout'), 'server_error', 'maybe'],
  ['failed: image', failedWith('invalid_base64_image'), 'invalid_request', 'maybe'],
  ['failed: image policy', failedWith('image_content_policy_violation'), 'policy', 'maybe'],
  ['failed: no code', failedWith(null), 'server_error', 'maybe'],
  [
    'incomplete',
    { kind: 'incomplete_response', reason: 'max_output_tokens', ...ids },
    'partial_output',
    'yes',
  ],
  ['deadline', { kind: 'deadline_passed', cancelConfirmed: true, ...ids }, 'timeout', 'maybe'],
  [
    'deadline, no cancel',
    { kind: 'deadline_passed', cancelConfirmed: false, ...ids },
    'outcome_unknown',
    'maybe',
  ],
  ['cancelled elsewhere', { kind: 'cancelled_elsewhere', ...ids }, 'server_error', 'maybe'],
  ['cancelled with its run', { kind: 'cancelled_on_request', ...ids }, 'cancelled', 'maybe'],
];

it.each(facts)('%s', (_, fact, failureClass, paid) => {
  expect(classifyFailure(fact, context)).toMatchObject({ class: failureClass, paid });
});

it('each row of the table is reached by some fact: none hides behind an earlier one', () => {
  const reached = new Set(facts.map(([, fact]) => findRow(fact).name));
  expect(classificationTable.map((row) => row.name).filter((name) => !reached.has(name))).toEqual(
    [],
  );
});

const anyRefusal = fc.record({
  kind: fc.constant('refused' as const),
  status: fc.integer({ min: 300, max: 999 }),
  isOpenAis: fc.boolean(),
  code: fc.option(fc.string()),
  param: fc.option(fc.string()),
  message: fc.string(),
  headers: fc.constant(new Headers()),
  requestId: fc.option(fc.string()),
});

it('every answer has a class, whatever OpenAI invents', () => {
  fc.assert(
    fc.property(anyRefusal, (fact) => {
      const failure = classifyFailure(fact, context);
      expect(failureClasses).toContain(failure.class);
      expect(Buffer.byteLength(failure.message)).toBeLessThanOrEqual(1_024);
    }),
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
