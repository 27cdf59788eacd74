/**
 * What one process may take of a model pool without asking: its share of the buckets, its slots, and what it knows of the pool.
 *
 * (H1) A share that was not asked about for two seconds is void: whoever stood still does not come back with old rights.
 * (H2) What OpenAI has asked holds here at once: nothing is taken before its time, and nothing that it says is used up.
 * (H3) Where no limit is known, neither set nor told, the first few calls need no share.
 */
import type { GateCall } from '../gate/call-gate.js';
import { SLOT_LEASE_MS, type Ask } from './limit-buckets.store.js';
import { DEFAULT_IN_FLIGHT, type PoolLimits } from './pool-limits.js';
import type { LimitHeaders } from './read-limit-headers.js';
import { firstShare, reservationOf, type Amounts, type Share } from './share.js';

export const SHARE_LASTS_MS = 2_000;
/** More than are on their way: so many are asked for, and need no share where no limit is known. */
export const SPARE_SLOTS = 4;

export class ShareInHand {
  /** Void from `untilMs` on (monotonic, as all times here). */
  #left = { requests: 0, tokens: 0, untilMs: 0 };
  #slots = { held: 0, untilMs: 0 };
  #known: Share;
  #heldUntilMs = 0;

  constructor(private readonly limits: PoolLimits) {
    this.#known = firstShare(limits);
  }

  /** As the last ask has shown it. */
  get known(): Share {
    return this.#known;
  }

  get slots(): number {
    return this.#slots.held;
  }

  /** Until OpenAI may be called again; not over 0: now. */
  get heldMs(): number {
    return this.#heldUntilMs - performance.now();
  }

  /** There is something to be given back, where nobody needs it. */
  get isWorthReturning(): boolean {
    const { requests, tokens } = this.#known.size;
    const isLimited = Number.isFinite(requests) || Number.isFinite(tokens);
    return this.#slots.held > 0 || (isLimited && this.#left.requests > 0);
  }

  /** Tokens that it takes; as many as the bucket holds where it asks for more. */
  needOf(call: GateCall): number {
    return Math.min(reservationOf(call), this.#known.size.tokens);
  }

  /** @param inUse calls on their way */
  covers(call: GateCall, inUse: number): boolean {
    const nowMs = performance.now();
    if (nowMs < this.#heldUntilMs) return false; // (H2)
    if (this.#isBoundless && inUse < SPARE_SLOTS) return true; // (H3)
    if (nowMs >= this.#left.untilMs) return false; // (H1)
    if (nowMs >= this.#slots.untilMs || inUse >= this.#slots.held) return false;
    return this.#left.requests >= 1 && this.#left.tokens >= this.needOf(call);
  }

  take(tokens: number): void {
    this.#left.requests -= 1;
    this.#left.tokens -= tokens;
  }

  putBack(tokens: number): void {
    this.#left.requests += 1;
    this.#left.tokens += tokens;
  }

  /** Used beyond what was taken. */
  owe(tokens: number): void {
    this.#left.tokens -= tokens;
  }

  /** What the call lacks in it. */
  lackOf(call: GateCall): Amounts {
    return {
      requests: Math.max(0, 1 - this.#left.requests),
      tokens: Math.max(0, this.needOf(call) - this.#left.tokens),
    };
  }

  /** How long the whole fleet's refill takes for that. */
  refillMs(call: GateCall): number {
    const { perSecond } = this.#known;
    const { requests, tokens } = this.lackOf(call);
    return Math.max(requests / perSecond.requests, tokens / perSecond.tokens) * 1_000;
  }

  /** (H2) @returns whether a limit is lower than was known */
  correct(said: LimitHeaders): boolean {
    const { size } = this.#known;
    this.#left.requests = Math.min(this.#left.requests, said.leftRequests ?? Infinity);
    this.#left.tokens = Math.min(this.#left.tokens, said.leftTokens ?? Infinity);
    const isLower = (limit: number | null, known: number) => limit !== null && limit < known;
    return isLower(said.limitRequests, size.requests) || isLower(said.limitTokens, size.tokens);
  }

  /** (H2) */
  hold(ms: number): void {
    this.#heldUntilMs = Math.max(this.#heldUntilMs, performance.now() + ms);
    this.#left = { requests: 0, tokens: 0, untilMs: 0 };
  }

  /** Leaves no more in hand than the target: what is over goes back, what lacks is wanted. */
  turnIn(target: Amounts, nowMs: number): Pick<Ask, 'giveBack' | 'want'> {
    if (nowMs >= this.#left.untilMs) this.#left.untilMs = 0;
    const isVoid = this.#left.untilMs === 0;
    const part = (kind: keyof Amounts) => {
      const has = Number.isFinite(this.#left[kind]) ? this.#left[kind] : 0;
      const keeps = Math.max(0, isVoid ? Math.min(has, 0) : Math.min(has, target[kind]));
      if (Number.isFinite(this.#left[kind])) this.#left[kind] = keeps;
      return { back: has - keeps, want: target[kind] - keeps };
    };
    const [requests, tokens] = [part('requests'), part('tokens')];
    return {
      giveBack: { requests: requests.back, tokens: tokens.back },
      want: { requests: requests.want, tokens: tokens.want },
    };
  }

  receive(share: Share, sentAtMs: number): void {
    this.#known = share;
    this.#left.requests = share.requests + finiteOr0(this.#left.requests);
    this.#left.tokens = share.tokens + finiteOr0(this.#left.tokens);
    this.#left.untilMs = sentAtMs + SHARE_LASTS_MS;
    this.#slots = { held: share.slots, untilMs: sentAtMs + SLOT_LEASE_MS };
    if (share.holdMs > 0) this.#heldUntilMs = performance.now() + share.holdMs;
  }

  /** Nothing is set but the net of slots in flight, and OpenAI has named no limit. */
  get #isBoundless(): boolean {
    const { requests, tokens } = this.#known.size;
    const isNet = this.limits.inFlight === DEFAULT_IN_FLIGHT;
    return isNet && requests === Infinity && tokens === Infinity;
  }
}

const finiteOr0 = (value: number): number => (Number.isFinite(value) ? value : 0);
