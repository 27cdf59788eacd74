/**
 * Which failure class a fact belongs to, as a table. The first row that fits decides.
 *
 * The order is the policy: whether the request left, whether the answer is OpenAI's own, its exact code, known messages, and
 * the status last. Never `error.type`: almost every 4xx, 401, 403 and 404 too, says `invalid_request_error`.
 * An unknown 4xx is permanent; an unknown 5xx of OpenAI's own is transient; any other 5xx leaves the outcome unknown.
 */
import type { FailureClass } from '#libs/domain';
import type { CallFact } from './call-fact.js';

export interface ClassificationRow {
  /** For specs and docs. */
  readonly name: string;
  readonly when: (fact: CallFact) => boolean;
  readonly class: FailureClass;
  readonly paid: 'no' | 'maybe' | 'yes';
  /** Where OpenAI gives no code of its own. */
  readonly code: string;
  /** A minimum where OpenAI asks for none. */
  readonly waitAtLeastMs?: number;
  /** May the rate-limit headers and the message ("try again in 2s") say how long to wait? */
  readonly readsRateLimits?: true;
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
  {
    name: 'nothing left',
    when: (fact) => fact.kind === 'no_answer' && !fact.requestLeft,
    ...{ class: 'not_sent', paid: 'no', code: 'not_sent' },
  },
  {
    name: 'left, and no answer that can be read',
    when: (fact) => fact.kind === 'no_answer',
    ...{ class: 'outcome_unknown', paid: 'maybe', code: 'reply_lost' },
  },
  {
    name: "a 5xx that is not OpenAI's own",
    when: (fact) => fact.kind === 'refused' && !fact.isOpenAis && fact.status >= 500,
    ...{ class: 'outcome_unknown', paid: 'maybe', code: 'proxy_error' },
  },
  {
    name: '408',
    when: status(408),
    ...{ class: 'outcome_unknown', paid: 'maybe', code: 'request_timeout' },
  },
  {
    name: 'sender died',
    when: (fact) => fact.kind === 'sender_died',
    ...{ class: 'outcome_unknown', paid: 'maybe', code: 'sender_died' },
  },
  {
    name: 'response gone',
    when: (fact) => fact.kind === 'response_gone',
    ...{ class: 'expired', paid: 'yes', code: 'response_gone' },
  },
  {
    name: 'configuration codes',
    when: either(code(...configurationCodes), says(/service_tier.*(not allowed|not available)/i)),
    ...{ class: 'configuration', paid: 'no', code: 'configuration' },
  },
  {
    name: 'billing codes',
    when: code(...billingCodes),
    ...{ class: 'billing', paid: 'no', code: 'billing' },
  },
  {
    name: '401',
    when: status(401),
    ...{ class: 'authorization', paid: 'no', code: 'unauthorized' },
  },
  {
    name: 'too large',
    when: either(
      code('context_length_exceeded'),
      both(status(429), either(says(/request too large/i), asksForMoreThanTheLimit)),
    ),
    ...{ class: 'too_large', paid: 'no', code: 'too_large' },
  },
  {
    name: 'policy codes',
    when: code(...policyCodes),
    ...{ class: 'policy', paid: 'maybe', code: 'policy' },
  },
  {
    name: 'contended',
    when: either(code('conversation_locked'), status(409)),
    ...{ class: 'contended', paid: 'no', code: 'contended', waitAtLeastMs: 2_000 },
  },
  {
    name: 'throttled inside a 200',
    when: both(isFailedResponse, code('rate_limit_exceeded')),
    ...{ class: 'throttled', paid: 'maybe', code: 'throttled', waitAtLeastMs: 20_000 },
  },
  {
    name: 'overloaded codes',
    when: code(...overloadedCodes),
    ...{ class: 'overloaded', paid: 'no', code: 'overloaded', readsRateLimits: true },
  },
  {
    name: 'rate limit, and any other 429',
    when: status(429),
    ...{ class: 'throttled', paid: 'no', code: 'rate_limited', readsRateLimits: true },
  },
  {
    name: '403 with no known code',
    when: status(403),
    ...{ class: 'authorization', paid: 'no', code: 'forbidden' },
  },
  {
    name: "a 5xx of OpenAI's own",
    when: (fact) => fact.kind === 'refused' && fact.status >= 500,
    ...{ class: 'server_error', paid: 'no', code: 'server_error' },
  },
  {
    name: 'redirect: the base URL is not the API',
    when: (fact) => fact.kind === 'refused' && fact.status < 400,
    ...{ class: 'configuration', paid: 'no', code: 'redirected' },
  },
  {
    name: 'any other 4xx',
    when: (fact) => fact.kind === 'refused',
    ...{ class: 'invalid_request', paid: 'no', code: 'invalid_request' },
  },
  {
    name: 'failed for an image',
    when: both(isFailedResponse, codeMatches(/image/)),
    ...{ class: 'invalid_request', paid: 'maybe', code: 'invalid_image' },
  },
  {
    name: 'failed for any other reason',
    when: isFailedResponse,
    ...{ class: 'server_error', paid: 'maybe', code: 'response_failed' },
  },
  {
    name: 'incomplete',
    when: (fact) => fact.kind === 'incomplete_response',
    ...{ class: 'partial_output', paid: 'yes', code: 'incomplete' },
  },
  {
    name: "the call's deadline, cancel confirmed",
    when: (fact) => fact.kind === 'deadline_passed' && fact.cancelConfirmed,
    ...{ class: 'timeout', paid: 'maybe', code: 'call_timeout' },
  },
  {
    name: "the call's deadline, cancel not confirmed",
    when: (fact) => fact.kind === 'deadline_passed',
    ...{ class: 'outcome_unknown', paid: 'maybe', code: 'cancel_unconfirmed' },
  },
  {
    name: 'cancelled by somebody else',
    when: (fact) => fact.kind === 'cancelled_elsewhere',
    ...{ class: 'server_error', paid: 'maybe', code: 'cancelled_elsewhere' },
  },
  {
    name: 'cancelled with its run',
    when: (fact) => fact.kind === 'cancelled_on_request',
    ...{ class: 'cancelled', paid: 'maybe', code: 'cancelled_on_request' },
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
