/**
 * What came of a sending. Pure.
 *
 * Of a step that is not idempotent only what is surely not carried out may be sent again: what never left, and what the receiver
 * turned away with a status that says so: 429 (RFC 6585), 503 with `Retry-After` (RFC 9110), other 4xx, 301, 307 and 308.
 * Everything else that is no 2xx is unclear: a proxy's 502 may hide a receiver that has done it, and 302 and 303 are how many
 * answer a POST that they have carried out.
 */
import type { FailureClass } from '#libs/domain';
import type { NoRoute, WebhookReply } from './webhook-sender.js';

export type DeliveryEnd =
  | { readonly state: 'done'; readonly status: number; readonly answer: Buffer }
  /** `failed`: it was surely not taken. `unknown`: it may have been. */
  | {
      readonly state: 'failed' | 'unknown';
      readonly failure: DeliveryFailure;
      readonly answer: Buffer | null;
    };

export interface DeliveryFailure {
  readonly class: FailureClass;
  /** Begins with `webhook_`. */
  readonly code: string;
  readonly httpStatus: number | null;
  /** Of what was sent or answered it says nothing but the status. */
  readonly message: string;
  readonly retryAfterMs: number | null;
}

type Reply = Exclude<WebhookReply, { kind: 'called_off' }>;
type Ruling = readonly [
  state: 'failed' | 'unknown',
  failureClass: FailureClass,
  code: string,
  what: string,
];

/** @param about the delivery in words, for support: receiver, host, id, when */
export function classifyReply(reply: Reply, idempotent: boolean, about: string): DeliveryEnd {
  const isAnswered = reply.kind === 'answered';
  if (isAnswered && reply.status >= 200 && reply.status < 300) {
    return { state: 'done', status: reply.status, answer: reply.answer };
  }
  const [state, failureClass, code, what] = isAnswered
    ? ruleStatus(reply.status, reply.retryAfterMs !== null, idempotent)
    : ruleNoAnswer(reply, idempotent);
  const then = failureClass === 'outcome_unknown' ? `; ${UNCLEAR}` : '';
  return {
    state,
    failure: {
      class: failureClass,
      code,
      httpStatus: isAnswered ? reply.status : null,
      message: `${about}: ${what}${then}`,
      retryAfterMs: isAnswered ? reply.retryAfterMs : null,
    },
    answer: isAnswered ? reply.answer : null,
  };
}

/** Nothing was sent: there was nowhere to send it to. */
export function classifyNoRoute(none: NoRoute, about: string): DeliveryFailure {
  const nothing = { httpStatus: null, retryAfterMs: null };
  return none.kind === 'refused'
    ? {
        class: 'configuration',
        code: `webhook_${none.because}`,
        message: `${about}: ${REFUSED[none.because]}; nothing was sent`,
        ...nothing,
      }
    : {
        class: 'not_sent',
        code: 'webhook_not_sent',
        message: `${about}: nothing was sent (${none.cause})`,
        ...nothing,
      };
}

/** Whoever was sending has not lived to say what came of it. */
export function classifyDeadSender(about: string): DeliveryFailure {
  const message = `${about}: the processor that was sending it stopped; ${UNCLEAR}`;
  const nothing = { httpStatus: null, retryAfterMs: null };
  return { class: 'outcome_unknown', code: 'webhook_sender_died', message, ...nothing };
}

const UNCLEAR =
  'it may have been carried out; a redrive sends it once more under the same delivery id';

const REFUSED = {
  address_refused: 'it has an address that webhooks are not sent to',
  not_https: 'webhooks go over the open network by https only',
} as const;

function ruleNoAnswer(reply: Extract<Reply, { kind: 'no_answer' }>, idempotent: boolean): Ruling {
  const { requestLeft, timedOut, cause } = reply;
  if (!requestLeft)
    return ['failed', 'not_sent', 'webhook_not_sent', `nothing was sent (${cause})`];
  const code = timedOut ? 'webhook_timeout' : 'webhook_reply_lost';
  const unclear = timedOut ? 'timeout' : 'server_error';
  return ['unknown', idempotent ? unclear : 'outcome_unknown', code, `no answer (${cause})`];
}

function ruleStatus(status: number, hasRetryAfter: boolean, idempotent: boolean): Ruling {
  const what = `answered with status ${status}`;
  const isRedirect = status >= 300 && status < 400;
  if (status === 429) return ['failed', 'throttled', 'webhook_throttled', what];
  if (status === 503 && hasRetryAfter) return ['failed', 'overloaded', 'webhook_overloaded', what];
  if (isRedirect && (idempotent || [301, 307, 308].includes(status))) {
    return [
      'failed',
      'invalid_request',
      'webhook_redirected',
      `${what}; redirects are not followed`,
    ];
  }
  if (status === 401 || status === 403) return ['failed', 'authorization', 'webhook_refused', what];
  if (status >= 400 && status < 500 && status !== 408) {
    return ['failed', 'invalid_request', status === 410 ? 'webhook_gone' : 'webhook_refused', what];
  }
  const unclear = status === 408 ? 'timeout' : 'server_error';
  return ['unknown', idempotent ? unclear : 'outcome_unknown', 'webhook_unclear', what];
}
