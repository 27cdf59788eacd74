/** What OpenAI says of its limits with an answer. What is negative, unparsable or absurd is not there. */
import type { CallFailure } from '../model-call.js';
import { classifyFailure } from '../classify/classify-failure.js';
import type { Exchange } from '../openai/exchange.js';

export interface LimitHeaders {
  /** In the limit's own window; null: not said. */
  readonly limitRequests: number | null;
  readonly limitTokens: number | null;
  readonly leftRequests: number | null;
  readonly leftTokens: number | null;
}

/** No account has more; what says so is no limit. */
const MOST = 1e12;

export function readLimitHeaders(headers: Headers): LimitHeaders {
  const read = (name: string, min: number) => readNumber(headers.get(`x-ratelimit-${name}`), min);
  return {
    limitRequests: read('limit-requests', 1),
    limitTokens: read('limit-tokens', 1),
    leftRequests: read('remaining-requests', 0),
    leftTokens: read('remaining-tokens', 0),
  };
}

/** Null: the answer is no refusal. */
export function refusalOf(exchange: Exchange, nowMs: number): CallFailure | null {
  return exchange.kind === 'refused' ? classifyFailure(exchange, { nowMs, sentTexts: [] }) : null;
}

function readNumber(value: string | null, min: number): number | null {
  if (value === null || !/^\d+(\.\d+)?$/.test(value.trim())) return null;
  const number = Number(value);
  return number >= min && number <= MOST ? number : null;
}
