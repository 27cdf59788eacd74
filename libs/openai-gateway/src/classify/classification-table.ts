/**
 * Which failure class a fact belongs to, as a table, and what follows from it besides. The first row that fits decides.
 *
 * The order is the policy: whether the request left, whether the answer is OpenAI's own, its exact code, known messages, and
 * the status last. Never `error.type`: almost every 4xx, 401, 403 and 404 too, says `invalid_request_error`.
 * An unknown 4xx is permanent; an unknown 5xx of OpenAI's own is transient; any other 5xx leaves the outcome unknown.
 *
 * What the class says by itself (again or not, attempts, who must act, words for people) stands in libs/domain, not here.
 * GET and cancel are not classified: see poll-faults.ts.
 */
import type { FailureClass } from '#libs/domain';
import type { BreakerEffect } from './breaker-effect.js';
import type { CallFact } from './call-fact.js';

export interface ClassificationRow {
  /** For specs and docs. */
  readonly name: string;
  readonly when: (fact: CallFact) => boolean;
  readonly class: FailureClass;
  readonly paid: 'no' | 'maybe' | 'yes';
  /** What it does to the calls that come after it. */
  readonly breaker: BreakerEffect;
  /** Where OpenAI gives no code of its own. */
  readonly code: string;
  /** A minimum where OpenAI asks for none. */
  readonly waitAtLeastMs?: number;
  /** May the rate-limit headers and the message ("try again in 2s") say how long to wait? */
  readonly readsRateLimits?: true;
  /** What it means, and what mends it. */
  readonly support: string;
}

const billingCodes = [
  'credit_balance_exhausted',
  'insufficient_quota',
  'billing_hard_limit_reached',
  'organization_spend_limit_exceeded',
  'project_spend_limit_exceeded',
  'organization_usage_limit_exceeded',
];
const policyCodes = [
  'invalid_prompt',
  'content_policy_violation',
  'bio_policy',
  'cyber_policy',
  'misalignment_policy_violation',
  'image_content_policy_violation',
];
const overloadedCodes = ['slow_down', 'server_is_overloaded', 'resource_unavailable'];
const configurationCodes = ['model_not_found', 'data_residency_mismatch'];

export const classificationTable: readonly ClassificationRow[] = [
  // Did the request leave?
  {
    name: 'nothing left',
    when: (fact) => fact.kind === 'no_answer' && !fact.requestLeft,
    ...{ class: 'not_sent', paid: 'no', breaker: 'transient', code: 'not_sent' },
    support:
      'No byte left this machine, so nothing is owed. If it goes on: look at DNS, proxies, TLS and OPENAI_BASE_URL.',
  },
  {
    name: 'left, and no answer that can be read',
    when: (fact) => fact.kind === 'no_answer',
    ...{ class: 'outcome_unknown', paid: 'maybe', breaker: 'transient', code: 'reply_lost' },
    support:
      "The request left and may have been worked on and billed. OpenAI's support finds it by its client request id and metadata; redrive to call again and perhaps pay twice.",
  },
  {
    name: 'sender died',
    when: (fact) => fact.kind === 'sender_died',
    ...{ class: 'outcome_unknown', paid: 'maybe', breaker: 'none', code: 'sender_died' },
    support:
      'A processor of ours ended while it was sending; whether the request left is not known. Redrive to call again and perhaps pay twice.',
  },

  // Is the answer OpenAI's own?
  {
    name: "a 5xx that is not OpenAI's own",
    when: (fact) => fact.kind === 'refused' && !fact.isOpenAis && fact.status >= 500,
    ...{ class: 'outcome_unknown', paid: 'maybe', breaker: 'transient', code: 'proxy_error' },
    support:
      'Something between us and OpenAI answered in its place; the request may have gone through behind it, and been billed.',
  },

  // Exact codes, at any status.
  {
    name: 'configuration codes',
    when: code(...configurationCodes),
    ...{ class: 'configuration', paid: 'no', breaker: 'latch_model', code: 'configuration' },
    support:
      'The account cannot use this model: misspelt, retired, not released to the project, or in another region. Correct it, then release the lane.',
  },
  {
    name: 'billing codes',
    when: code(...billingCodes),
    ...{ class: 'billing', paid: 'no', breaker: 'latch_account', code: 'billing' },
    support:
      "Credit is used up, or a spend limit of project or organization is reached. Mend it in OpenAI's billing pages, then release the account.",
  },
  {
    name: 'too long for the model',
    when: code('context_length_exceeded'),
    ...{ class: 'too_large', paid: 'no', breaker: 'none', code: 'too_large' },
    support: 'Input and output together exceed the context of the model. No repeat can succeed.',
  },
  {
    name: 'policy codes',
    when: code(...policyCodes),
    ...{ class: 'policy', paid: 'maybe', breaker: 'none', code: 'policy' },
    support:
      'OpenAI refused the content under its usage policies. Sending it again can count against the account.',
  },
  {
    name: 'conversation locked',
    when: code('conversation_locked'),
    ...{ class: 'contended', paid: 'no', breaker: 'none', code: 'contended', waitAtLeastMs: 2_000 },
    support: 'Another call on the same conversation is still at work; ours was not started.',
  },
  {
    name: 'conversation gone',
    when: both(status(404), says(/^conversation\b.*\bnot found/i)),
    ...{ class: 'contended', paid: 'no', breaker: 'none', code: 'contended', waitAtLeastMs: 2_000 },
    support: 'The conversation that the call was sent on was removed; the call was not started.',
  },
  {
    name: 'throttled inside a 200',
    when: both(isFailedResponse, code('rate_limit_exceeded')),
    ...{ class: 'throttled', paid: 'maybe', breaker: 'shrink_bucket', code: 'throttled' },
    waitAtLeastMs: 20_000,
    support:
      'The response was accepted, then ended by a rate limit. It goes on by itself; if it is frequent, lower the configured limits.',
  },
  {
    name: 'overloaded codes',
    when: code(...overloadedCodes),
    ...{ class: 'overloaded', paid: 'no', breaker: 'aimd', code: 'overloaded' },
    readsRateLimits: true,
    support:
      'OpenAI is short of capacity, for all its customers or for the flex tier. It goes on by itself, more slowly.',
  },
  {
    name: 'failed for an image',
    when: both(isFailedResponse, codeMatches(/image/)),
    ...{ class: 'invalid_request', paid: 'maybe', breaker: 'none', code: 'invalid_image' },
    support: 'OpenAI could not read an image of the request. The workflow has to send another one.',
  },

  // Known messages.
  {
    name: 'service tier not allowed',
    when: either(refusesParameter('service_tier'), says(/service_tier.*not (allowed|available)/i)),
    ...{ class: 'configuration', paid: 'no', breaker: 'latch_model', code: 'service_tier' },
    support:
      'The account or the model does not have the service tier that the step asks for. Change the step, or have OpenAI enable the tier.',
  },
  {
    name: 'asks for more than the limit',
    when: both(status(429), either(says(/request too large/i), asksForMoreThanTheLimit)),
    ...{ class: 'too_large', paid: 'no', breaker: 'none', code: 'too_large' },
    support:
      "One request alone exceeds the account's tokens per minute. No wait makes it fit: a shorter input, a smaller max_output_tokens or a higher limit does.",
  },

  // The status.
  {
    name: '408',
    when: status(408),
    ...{ class: 'outcome_unknown', paid: 'maybe', breaker: 'transient', code: 'request_timeout' },
    support: 'The request was taken in at least in part, then given up; it may have been billed.',
  },
  {
    name: '401',
    when: status(401),
    ...{ class: 'authorization', paid: 'no', breaker: 'latch_account', code: 'unauthorized' },
    support:
      'The API key is wrong, revoked or of another project. Set OPENAI_API_KEY anew, then release the account.',
  },
  {
    name: '403 with no known code',
    when: status(403),
    ...{ class: 'authorization', paid: 'no', breaker: 'latch_account', code: 'forbidden' },
    support:
      'The key may not do this: its permissions, the project, an address list, or the country. Mend it, then release the account.',
  },
  {
    name: '409',
    when: status(409),
    ...{ class: 'contended', paid: 'no', breaker: 'none', code: 'contended', waitAtLeastMs: 2_000 },
    support: 'Something else holds what the request is about; it was not started.',
  },
  {
    name: 'rate limit, and any other 429',
    when: status(429),
    ...{ class: 'throttled', paid: 'no', breaker: 'shrink_bucket', code: 'rate_limited' },
    readsRateLimits: true,
    support:
      'Requests or tokens of the minute or day are used up. It goes on by itself; if it is frequent, the configured limits are above the real ones.',
  },
  {
    name: "a 5xx of OpenAI's own",
    when: (fact) => fact.kind === 'refused' && fact.status >= 500,
    ...{ class: 'server_error', paid: 'no', breaker: 'transient', code: 'server_error' },
    support:
      'OpenAI failed and said so. If it goes on: https://status.openai.com, and its support with the request id.',
  },
  {
    name: 'redirect: the base URL is not the API',
    when: (fact) => fact.kind === 'refused' && fact.status < 400,
    ...{ class: 'configuration', paid: 'no', breaker: 'latch_account', code: 'redirected' },
    support: 'OPENAI_BASE_URL leads elsewhere. Correct it; redirects are not followed with a key.',
  },
  {
    name: 'any other 4xx',
    when: (fact) => fact.kind === 'refused',
    ...{ class: 'invalid_request', paid: 'no', breaker: 'none', code: 'invalid_request' },
    support:
      'The request as Holdfast or the workflow wrote it is wrong; code and parameter say where. A repeat of it fails too: mend it, then redrive.',
  },

  // How an accepted response ended.
  {
    name: 'response gone',
    when: (fact) => fact.kind === 'response_gone',
    ...{ class: 'expired', paid: 'yes', breaker: 'none', code: 'response_gone' },
    support:
      'OpenAI no longer has a response that it had accepted, and billed. Redrive to call again and pay again.',
  },
  {
    name: 'failed for any other reason',
    when: isFailedResponse,
    ...{ class: 'server_error', paid: 'maybe', breaker: 'transient', code: 'response_failed' },
    support: 'OpenAI accepted the response and failed at it. The code says more.',
  },
  {
    name: 'incomplete',
    when: (fact) => fact.kind === 'incomplete_response',
    ...{ class: 'partial_output', paid: 'yes', breaker: 'none', code: 'incomplete' },
    support:
      'The answer reached max_output_tokens, reasoning included, and was cut. The workflow needs a larger cap, or a smaller question.',
  },
  {
    name: "the call's deadline, cancel confirmed",
    when: (fact) => fact.kind === 'deadline_passed' && fact.cancelConfirmed,
    ...{ class: 'timeout', paid: 'maybe', breaker: 'transient', code: 'call_timeout' },
    support:
      'The model was still at work at the time limit of the call, and was stopped. If it is frequent, the limit is too short.',
  },
  {
    name: "the call's deadline, cancel not confirmed",
    when: (fact) => fact.kind === 'deadline_passed',
    ...{ class: 'outcome_unknown', paid: 'maybe', breaker: 'transient' },
    code: 'cancel_unconfirmed',
    support:
      'The time limit passed and OpenAI did not confirm the cancel: the response may go on, and be billed. A redrive looks it up by its id first.',
  },
  {
    name: 'cancelled by somebody else',
    when: (fact) => fact.kind === 'cancelled_elsewhere',
    ...{ class: 'server_error', paid: 'maybe', breaker: 'none', code: 'cancelled_elsewhere' },
    support: 'Somebody else who has the account cancelled the response at OpenAI.',
  },
  {
    name: 'cancelled with its run',
    when: (fact) => fact.kind === 'cancelled_on_request',
    ...{ class: 'cancelled', paid: 'maybe', breaker: 'none', code: 'cancelled_on_request' },
    support: 'We cancelled it, because its run was cancelled.',
  },
];

type Condition = ClassificationRow['when'];

export const codeOf = (fact: CallFact): string | null =>
  fact.kind === 'refused' || fact.kind === 'failed_response'
    ? fact.code
    : fact.kind === 'incomplete_response'
      ? fact.reason
      : null;

function code(...codes: readonly string[]): Condition {
  return (fact) => codes.includes(codeOf(fact) ?? '');
}
function codeMatches(pattern: RegExp): Condition {
  return (fact) => pattern.test(codeOf(fact) ?? '');
}
function status(wanted: number): Condition {
  return (fact) => fact.kind === 'refused' && fact.status === wanted;
}
function says(pattern: RegExp): Condition {
  return (fact) => fact.kind === 'refused' && pattern.test(fact.message);
}
/** OpenAI names the parameter that it does not take. */
function refusesParameter(param: string): Condition {
  return (fact) => fact.kind === 'refused' && fact.param === param;
}
/** "Limit 30000, Used 0, Requested 45000": no wait will make that fit. */
function asksForMoreThanTheLimit(fact: CallFact): boolean {
  if (fact.kind !== 'refused') return false;
  const [, limit, requested] = /\blimit:? (\d+)\b.*\brequested:? (\d+)/i.exec(fact.message) ?? [];
  return Number(requested) > Number(limit);
}
function isFailedResponse(fact: CallFact): boolean {
  return fact.kind === 'failed_response';
}
function both(one: Condition, other: Condition): Condition {
  return (fact) => one(fact) && other(fact);
}
function either(one: Condition, other: Condition): Condition {
  return (fact) => one(fact) || other(fact);
}
