/**
 * What a process will need of a pool soon: what waits, what was turned away a moment ago and comes back, and half a second more of
 * what came lately.
 */
import type { Amounts } from './share.js';

const AHEAD_SECONDS = 0.5;
/** Over which the pace of calls is averaged; under `SLOWEST` calls a second nothing is taken ahead. */
const PACE_SECONDS = 0.5;
const SLOWEST = 0.2;
const nothing: Amounts = { requests: 0, tokens: 0 };

export interface Queue {
  readonly waiting: Amounts;
  /** What the one whose turn it is needs; nothing where nobody waits. */
  readonly head: Amounts;
}

export class Demand {
  #entered = nothing;
  #turnedAway = nothing;
  /** In a second. */
  #pace = nothing;
  #tokensPerCall = 0;
  #sinceMs: number;

  /** @param nowMs monotonic, as all times here */
  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  get tokensPerCall(): number {
    return this.#tokensPerCall;
  }

  get turnedAway(): number {
    return this.#turnedAway.requests;
  }

  /** Calls come, so that a share is worth having ahead. */
  get isSteady(): boolean {
    return this.#pace.requests >= SLOWEST;
  }

  entered(tokens: number): void {
    this.#entered = plus(this.#entered, { requests: 1, tokens });
    this.#tokensPerCall += (tokens - this.#tokensPerCall) / 8;
  }

  /** It did not wait; it comes back at once, to wait or to go. */
  turnAway(tokens: number): void {
    this.#turnedAway = plus(this.#turnedAway, { requests: 1, tokens });
  }

  /** One that was turned away waits now, and is counted there. */
  cameBack(tokens: number): void {
    const { requests, tokens: before } = this.#turnedAway;
    this.#turnedAway = {
      requests: Math.max(0, requests - 1),
      tokens: Math.max(0, before - tokens),
    };
  }

  /**
   * What the process should have in hand from `nowMs` on; what came is counted from there anew.
   * @param fairPart what one process may take ahead, its head apart
   */
  target(queue: Queue, fairPart: Amounts, nowMs: number): Amounts {
    this.#keepPace((nowMs - this.#sinceMs) / 1_000);
    const of = (kind: keyof Amounts) => {
      const ahead = this.#pace[kind] * AHEAD_SECONDS;
      const wanted = queue.waiting[kind] + this.#turnedAway[kind] + ahead;
      return Math.ceil(Math.min(wanted, Math.max(queue.head[kind], fairPart[kind])));
    };
    const isIdle = queue.waiting.requests + this.#turnedAway.requests === 0 && !this.isSteady;
    const target = isIdle ? nothing : { requests: of('requests'), tokens: of('tokens') };
    this.#turnedAway = nothing;
    this.#entered = nothing;
    this.#sinceMs = nowMs;
    return target;
  }

  #keepPace(seconds: number): void {
    const passed = Math.max(0.001, seconds);
    const weight = 1 - Math.exp(-passed / PACE_SECONDS);
    const of = (kind: keyof Amounts) =>
      this.#pace[kind] + (this.#entered[kind] / passed - this.#pace[kind]) * weight;
    this.#pace = { requests: of('requests'), tokens: of('tokens') };
  }
}

const plus = (one: Amounts, other: Amounts): Amounts => ({
  requests: one.requests + other.requests,
  tokens: one.tokens + other.tokens,
});
