import type { Exchange } from './exchange.js';

export interface OpenAiHealth {
  /** In words; null: it answers, or has not been asked yet. */
  readonly problem: string | null;
  /** Since it last did what was asked; null: not yet. */
  readonly answeredAgoMs: number | null;
}

/** Of responses: asked for, or looked after once they were taken. Each may fail while the other is answered as ever. */
export type AskedOfResponses = 'create' | 'follow';

/** Fewer in a row are the way of the network. */
const FAILURES_IN_A_ROW = 3;
/** What nobody has asked for this long is no news: longer than any pause between the tries of a run. */
const STALE_AFTER_MS = 15 * 60_000;
const NOT_ABOUT_THE_REQUEST = [401, 403, 429];

interface Failing {
  readonly failures: number;
  readonly last: string;
  readonly atMs: number;
}

/**
 * Remembers how the last requests about responses went. What OpenAI says of a single one (a 400) is an answer; 429, 5xx and silence
 * are not. Conversations are not counted: one is made for nearly every call, and would hide that no call is taken.
 */
export class OpenAiAnswers {
  #answeredAtMs: number | null = null;
  readonly #failing = new Map<AskedOfResponses, Failing>();

  /** @param nowMs monotonic */
  constructor(private readonly nowMs: () => number = () => performance.now()) {}

  note(asked: AskedOfResponses, exchange: Exchange): void {
    const fault = faultOf(exchange);
    const atMs = this.nowMs();
    if (fault === null) {
      this.#answeredAtMs = atMs;
      this.#failing.delete(asked);
    } else {
      const failures = (this.#failing.get(asked)?.failures ?? 0) + 1;
      this.#failing.set(asked, { failures, last: fault, atMs });
    }
  }

  health(): OpenAiHealth {
    const nowMs = this.nowMs();
    const answeredAtMs = this.#answeredAtMs;
    const answeredAgoMs = answeredAtMs === null ? null : Math.round(nowMs - answeredAtMs);
    const worst = [...this.#failing.values()]
      .filter(
        ({ failures, atMs }) => failures >= FAILURES_IN_A_ROW && nowMs - atMs < STALE_AFTER_MS,
      )
      .reduce<Failing | null>((a, b) => (a !== null && a.failures >= b.failures ? a : b), null);
    if (worst === null) return { problem: null, answeredAgoMs };
    const { failures, last } = worst;
    const problem = `the last ${failures} requests failed (${last}): runs wait and are tried again`;
    return { problem, answeredAgoMs };
  }
}

function faultOf(exchange: Exchange): string | null {
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
