import type { Answered, Exchange } from './exchange.js';

export interface OpenAiHealth {
  /** In words; null: it answers, or has not been asked yet. */
  readonly problem: string | null;
  /** Since it last did what was asked; null: not yet. */
  readonly answeredAgoMs: number | null;
}

/** Fewer in a row are the way of the network. */
const FAILURES_IN_A_ROW = 3;
const NOT_ABOUT_THE_REQUEST = [401, 403, 429];

/** Remembers how the last requests went. What OpenAI says of a single request (a 400) is an answer; 429, 5xx and silence are not. */
export class OpenAiAnswers {
  private answeredAtMs: number | null = null;
  private failures = 0;
  private last = '';

  note(exchange: Exchange | Answered<unknown>): void {
    const fault = faultOf(exchange);
    if (fault === null) {
      this.answeredAtMs = performance.now();
      this.failures = 0;
    } else {
      this.failures += 1;
      this.last = fault;
    }
  }

  health(): OpenAiHealth {
    const { answeredAtMs, failures, last } = this;
    const answeredAgoMs =
      answeredAtMs === null ? null : Math.round(performance.now() - answeredAtMs);
    if (failures < FAILURES_IN_A_ROW) return { problem: null, answeredAgoMs };
    const problem = `the last ${failures} requests failed (${last}): runs wait and are tried again`;
    return { problem, answeredAgoMs };
  }
}

function faultOf(exchange: Exchange | Answered<unknown>): string | null {
  switch (exchange.kind) {
    case 'answered':
      return null;
    case 'refused':
      return exchange.status >= 500 || NOT_ABOUT_THE_REQUEST.includes(exchange.status)
        ? `status ${exchange.status}`
        : null;
    case 'no_answer':
      return exchange.cause;
  }
}
