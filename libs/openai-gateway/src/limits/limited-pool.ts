/**
 * One model pool as one process uses it: its share of the fleet's buckets, the calls that wait for it, and what is to be told.
 *
 * (L1) A call takes from memory: the share is asked for ahead, for the next half second of what calls have needed lately, so
 *      that a call costs no statement of its own.
 *      Where no limit is known, neither set nor told, the first few need not wait for the first ask.
 * (L2) Nobody overtakes: while calls wait, a new one waits behind them, in the order of the fair queue.
 * (L3) A share that was not asked about for two seconds is void: whoever stood still does not come back with old rights.
 * (L4) An unused share goes back as soon as nobody asks for it any more.
 * (L5) What OpenAI has asked holds here at once, and for the fleet with the next ask.
 * (L6) Every wait has an end: the owner's signal, a limit that will not be free for long, five minutes.
 */
import { performance } from 'node:perf_hooks';
import type { Metrics } from '#libs/metrics';
import type { Sql } from '#libs/postgres';
import type { FieldLog } from '#libs/process';
import type { CallPass, Entrance, GateCall, PassEnd } from '../gate/call-gate.js';
import type { CallFailure, ParkedCall } from '../model-call.js';
import type { Exchange } from '../openai/exchange.js';
import { Demand } from './demand.js';
import { FairQueue, type Queued } from './fair-queue.js';
import { SLOT_LEASE_MS, takeShare, type Ask } from './limit-buckets.store.js';
import { DEFAULT_IN_FLIGHT, type PoolLimits } from './pool-limits.js';
import { readLimitHeaders, refusalOf } from './read-limit-headers.js';
import { firstShare, reservationOf, type Amounts, type Share } from './share.js';
import { Tidings } from './tidings.js';

export interface PoolParts {
  readonly database: Sql;
  /** Names this process to the others. */
  readonly holder: string;
  readonly log: FieldLog;
  readonly metrics: Metrics;
}

/** What a claim may count on. */
export interface Room {
  readonly models: readonly string[];
  /** OpenAI has asked not to be called. */
  readonly isHeld: boolean;
  /** Calls that may come now without waiting for more than about two seconds. */
  readonly calls: number;
  /** Runs that keep it busy so, those whose calls are on their way included. */
  readonly runs: number;
}

const RENEW_MS = 400;
const SHARE_LASTS_MS = 2_000;
const KEEP_SLOTS_MS = 3_000;
const SHORTEST_GAP_MS = 20;
const LONGEST_GAP_MS = 500;
const SPARE_SLOTS = 4;
const ROOM_SECONDS = 2;
const ROOM_AT_LEAST = 2;
/** What is held for longer gives its slot back. */
const LONG_HOLD_MS = 30_000;
/** A limit per minute is full again in less; a limit per day may not be. */
const LONG_REFILL_MS = 90_000;
const LONGEST_WAIT_MS = 300_000;
const THROTTLED = "our share of the AI service's limit is used up";

interface Waiting extends Queued {
  readonly call: GateCall;
  readonly sinceMs: number;
  readonly resolve: (entrance: Entrance) => void;
}

export class LimitedPool {
  readonly #queue = new FairQueue<Waiting>();
  readonly #tidings = new Tidings();
  /** In hand, and void from `untilMs` on (monotonic, as all times here). */
  #share = { requests: 0, tokens: 0, untilMs: 0 };
  #slots = { held: 0, untilMs: 0 };
  #known: Share;
  #inUse = 0;
  readonly #inUseBy = new Map<string, number>();
  #isUrgent = false;
  #heldUntilMs = 0;
  readonly #demand = new Demand(performance.now());
  #askedAtMs = -Infinity;
  #asking: Promise<void> | null = null;
  #nextInMs = Infinity;
  #timer: { readonly atMs: number; readonly handle: NodeJS.Timeout } | null = null;
  #closed = false;
  readonly #models = new Set<string>();

  constructor(
    readonly limits: PoolLimits,
    private readonly parts: PoolParts,
  ) {
    this.#known = firstShare(limits);
    limits.models.forEach((model) => this.#models.add(model));
  }

  get waiting(): number {
    return this.#queue.size;
  }

  get inUse(): number {
    return this.#inUse;
  }

  tryEnter(call: GateCall): CallPass | null {
    this.#models.add(call.model);
    if (this.#queue.size === 0 && this.#fits(call)) return this.#take(call); // (L2)
    this.#demand.turnAway(this.#needOf(call));
    this.#askWithin(0);
    return null;
  }

  enter(call: GateCall, signal: AbortSignal): Promise<Entrance> {
    const pass = this.tryEnter(call);
    if (pass !== null) return Promise.resolve({ kind: 'entered', pass });
    return this.#wait(call, signal);
  }

  room(): Room {
    const { perSecond, slotsOfFleet, holders } = this.#known;
    const perCall = Math.max(1, this.#demand.tokensPerCall);
    const callsPerSecond = Math.min(perSecond.requests, perSecond.tokens / perCall) / holders;
    const freeSlots = Math.max(0, slotsOfFleet / holders - this.#inUse);
    const ahead = Math.ceil(Math.min(callsPerSecond * ROOM_SECONDS, freeSlots)) + ROOM_AT_LEAST;
    return {
      models: [...this.#models],
      isHeld: this.#heldUntilMs > performance.now(),
      calls: Math.max(0, ahead - this.#queue.size),
      runs: this.#inUse + ahead,
    };
  }

  /** Gives everything back. Whoever still waits is parked. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#park(() => true, 0);
    clearTimeout(this.#timer?.handle);
    await this.#asking;
    if (this.#slots.held > 0) await this.#ask();
  }

  async #wait(call: GateCall, signal: AbortSignal): Promise<Entrance> {
    if (this.#closed) return this.#parked(0);
    const { promise, resolve } = Promise.withResolvers<Entrance>();
    const { tenant, priority, weight = 1 } = call;
    const cost = reservationOf(call);
    const waiting = { call, tenant, priority, weight, cost, sinceMs: performance.now(), resolve };
    const onAbort = () => {
      if (this.#queue.remove(waiting)) resolve({ kind: 'aborted' });
      this.#pump();
    };
    if (signal.aborted) return { kind: 'aborted' };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#queue.push(waiting);
    this.#demand.cameBack(this.#needOf(call));
    this.#parkHeld();
    this.#pump();
    try {
      const entrance = await promise;
      const tookMs = performance.now() - waiting.sinceMs;
      const labels = { pool: this.limits.pool, outcome: entrance.kind };
      this.parts.metrics.observe('holdfast_limit_wait_seconds', labels, tookMs / 1_000);
      return entrance;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Lets go who may, in the queue's order. */
  #pump(): void {
    for (let next; (next = this.#queue.peek()) !== undefined && this.#fits(next.call);) {
      this.#queue.shift();
      next.resolve({ kind: 'entered', pass: this.#take(next.call) });
    }
    if (this.#queue.size > 0) this.#askWithin(this.#untilHeadMs());
  }

  #fits(call: GateCall): boolean {
    const nowMs = performance.now();
    const { requests, tokens, untilMs } = this.#share;
    if (this.#closed || nowMs < this.#heldUntilMs) return false;
    if (this.#isBoundless && this.#inUse < SPARE_SLOTS) return true; // (L1)
    if (nowMs >= untilMs) return false; // (L3)
    if (nowMs >= this.#slots.untilMs || this.#inUse >= this.#slots.held) return false;
    return requests >= 1 && tokens >= this.#needOf(call);
  }

  /** Nothing is set but the net of slots in flight, and OpenAI has named no limit. */
  get #isBoundless(): boolean {
    const { size } = this.#known;
    const isNet = this.limits.inFlight === DEFAULT_IN_FLIGHT;
    return isNet && size.requests === Infinity && size.tokens === Infinity;
  }

  #needOf(call: GateCall): number {
    return Math.min(reservationOf(call), this.#known.size.tokens);
  }

  /** (L1) */
  #take(call: GateCall): CallPass {
    const tokens = this.#needOf(call);
    this.#share.requests -= 1;
    this.#share.tokens -= tokens;
    this.#demand.entered(tokens);
    this.#onTheirWay(call.tenant, 1);
    this.#askWithin(this.#isUrgent ? 0 : RENEW_MS); // nobody need leave anything for it any more
    return this.#passOf(call.tenant, tokens);
  }

  #passOf(tenant: string, tokens: number): CallPass {
    const enteredAtMs = performance.now();
    let isTold = false;
    const tell = (failure: CallFailure | null, headers: Headers | null) => {
      if (headers !== null) this.#learn(headers);
      if (failure === null || isTold) return;
      isTold = this.#hear(failure, enteredAtMs);
    };
    return {
      answered: (exchange: Exchange) => {
        const headers = exchange.kind === 'no_answer' ? null : exchange.headers;
        tell(refusalOf(exchange, Date.now()), headers);
      },
      lost: () => undefined, // it keeps its slot: it may still go on
      leave: (end: PassEnd) => {
        this.#onTheirWay(tenant, -1);
        if (end.kind === 'failed') tell(end.failure, null);
        if (end.kind === 'not_sent') {
          this.#share.requests += 1;
          this.#share.tokens += tokens;
        }
        if (end.kind === 'completed') {
          this.#share.tokens -= Math.max(0, end.usage.totalTokens - tokens);
        }
        this.#pump();
        this.#askWithin(KEEP_SLOTS_MS);
      },
    };
  }

  #onTheirWay(tenant: string, by: 1 | -1): void {
    this.#inUse += by;
    const left = (this.#inUseBy.get(tenant) ?? 0) + by;
    if (left === 0) this.#inUseBy.delete(tenant);
    else this.#inUseBy.set(tenant, left);
  }

  /** (L5) What headers say, where it is less than we thought. */
  #learn(headers: Headers): void {
    const said = readLimitHeaders(headers);
    const { size } = this.#known;
    this.#tidings.said(said);
    this.#share.requests = Math.min(this.#share.requests, said.leftRequests ?? Infinity);
    this.#share.tokens = Math.min(this.#share.tokens, said.leftTokens ?? Infinity);
    const isLower = (limit: number | null, known: number) => limit !== null && limit < known;
    if (isLower(said.limitRequests, size.requests) || isLower(said.limitTokens, size.tokens)) {
      this.#count('limit_lowered');
      this.#askWithin(0);
    }
  }

  /** @returns whether it is about our limits */
  #hear(failure: CallFailure, enteredAtMs: number): boolean {
    const { log } = this.parts;
    const { account, pool } = this.limits;
    if (failure.class === 'overloaded') {
      this.#tidings.overloaded(enteredAtMs);
      this.#count('overloaded');
      log.warn({ account, pool, code: failure.code }, 'OpenAI is overloaded; asking for less');
    } else if (failure.class === 'throttled') {
      const holdMs = this.#tidings.throttled(failure.retryAfterMs);
      this.#heldUntilMs = Math.max(this.#heldUntilMs, performance.now() + holdMs);
      this.#share = { requests: 0, tokens: 0, untilMs: 0 };
      this.#count('throttled');
      const fields = { account, pool, code: failure.code, retryAfterMs: holdMs };
      log.warn(fields, 'OpenAI throttles; holding the pool');
    } else {
      return false;
    }
    this.#askWithin(0);
    return true;
  }

  #count(kind: string): void {
    const { pool } = this.limits;
    this.parts.metrics.add('holdfast_limit_corrections_total', { pool, kind });
  }

  /** At most one timer is set, for the earliest time that was wished; while an ask is on its way, for after it. */
  #askWithin(ms: number): void {
    if (this.#closed) return;
    if (this.#asking !== null) {
      this.#nextInMs = Math.min(this.#nextInMs, ms);
      return;
    }
    const nowMs = performance.now();
    const atMs = Math.max(nowMs + ms, this.#askedAtMs + SHORTEST_GAP_MS);
    if (this.#timer !== null && this.#timer.atMs <= atMs) return;
    clearTimeout(this.#timer?.handle);
    const handle = setTimeout(() => {
      this.#timer = null;
      this.#asking = this.#ask();
    }, atMs - nowMs);
    this.#timer = { atMs, handle };
  }

  /** Never rejects. */
  async #ask(): Promise<void> {
    const { database, holder, metrics, log } = this.parts;
    const { account, pool } = this.limits;
    const sentAtMs = performance.now();
    const ask = this.#nextAsk(sentAtMs);
    this.#nextInMs = Infinity;
    try {
      this.#receive(await takeShare(database, this.limits, holder, ask), sentAtMs);
      metrics.add('holdfast_limit_asks_total', { pool });
      this.#pump();
      this.#parkLong();
      this.#goOn();
    } catch (error) {
      this.#tidings.notTold(ask, sentAtMs);
      log.warn(
        { account, pool, error },
        'the share of a limit could not be asked for; asking again',
      );
      this.#nextInMs = LONGEST_GAP_MS;
    } finally {
      this.#asking = null;
      if (Number.isFinite(this.#nextInMs)) this.#askWithin(this.#nextInMs);
    }
  }

  /** What the share lacks is wanted, what it has too much goes back (L4). */
  #nextAsk(nowMs: number): Ask {
    const comingBack = this.#demand.turnedAway;
    const target = this.#target(nowMs);
    if (nowMs >= this.#share.untilMs) this.#share.untilMs = 0;
    const isVoid = this.#share.untilMs === 0;
    const part = (kind: keyof Amounts) => {
      const has = Number.isFinite(this.#share[kind]) ? this.#share[kind] : 0;
      const keeps = isVoid ? Math.min(has, 0) : Math.min(has, target[kind]);
      if (Number.isFinite(this.#share[kind])) this.#share[kind] = keeps > 0 ? keeps : 0;
      return { back: has - Math.max(0, keeps), want: target[kind] - Math.max(0, keeps) };
    };
    const [requests, tokens] = [part('requests'), part('tokens')];
    const isActive = target.requests > 0;
    const inUse = this.#inUse;
    const spare = isActive ? SPARE_SLOTS + Math.ceil(inUse / 4) : 0;
    const wantSlots = this.#closed ? 0 : inUse + this.#queue.size + comingBack + spare;
    this.#askedAtMs = nowMs;
    return {
      giveBack: { requests: requests.back, tokens: tokens.back },
      want: { requests: requests.want, tokens: tokens.want },
      slots: { inUse, want: wantSlots },
      urgent: this.#urgent(),
      ...this.#tidings.take(nowMs),
    };
  }

  #target(nowMs: number): Amounts {
    const { size, holders } = this.#known;
    const waiting = this.#queue.items();
    const head = this.#queue.peek();
    const needs = (calls: readonly Waiting[]): Amounts => ({
      requests: calls.length,
      tokens: calls.reduce((sum, { call }) => sum + this.#needOf(call), 0),
    });
    const fairPart = { requests: size.requests / holders, tokens: size.tokens / holders };
    const queue = { waiting: needs(waiting), head: needs(head === undefined ? [] : [head]) };
    const target = this.#demand.target(queue, fairPart, nowMs);
    return this.#closed ? { requests: 0, tokens: 0 } : target;
  }

  /** What the next one lacks, where its tenant has nothing on its way. */
  #urgent(): Amounts {
    const head = this.#queue.peek();
    this.#isUrgent = head !== undefined && !this.#inUseBy.has(head.tenant);
    if (!this.#isUrgent || head === undefined) return { requests: 0, tokens: 0 };
    return {
      requests: Math.max(0, 1 - this.#share.requests),
      tokens: Math.max(0, this.#needOf(head.call) - this.#share.tokens),
    };
  }

  #receive(share: Share, sentAtMs: number): void {
    this.#known = share;
    this.#share.requests = share.requests + finiteOr0(this.#share.requests);
    this.#share.tokens = share.tokens + finiteOr0(this.#share.tokens);
    this.#share.untilMs = sentAtMs + SHARE_LASTS_MS;
    this.#slots = { held: share.slots, untilMs: sentAtMs + SLOT_LEASE_MS };
    if (share.holdMs > 0) this.#heldUntilMs = performance.now() + share.holdMs;
  }

  /** When to ask again, if at all. */
  #goOn(): void {
    if (this.#queue.size > 0) return; // #pump has seen to it
    const hasShare =
      Number.isFinite(this.#known.size.requests) || Number.isFinite(this.#known.size.tokens);
    if (this.#demand.isSteady) this.#askWithin(RENEW_MS);
    else if (this.#inUse > 0) this.#askWithin(KEEP_SLOTS_MS);
    else if (this.#slots.held > 0 || (hasShare && this.#share.requests > 0))
      this.#askWithin(SHARE_LASTS_MS);
  }

  /** How soon it makes sense to ask again for the one whose turn it is. */
  #untilHeadMs(): number {
    const heldMs = this.#heldUntilMs - performance.now();
    const waitMs = heldMs > 0 ? heldMs : this.#refillMs();
    return Math.min(LONGEST_GAP_MS, Math.max(SHORTEST_GAP_MS, waitMs));
  }

  #refillMs(): number {
    const head = this.#queue.peek();
    if (head === undefined) return 0;
    const { perSecond } = this.#known;
    const lacks = (need: number, has: number, gain: number) => Math.max(0, need - has) / gain;
    const requests = lacks(1, this.#share.requests, perSecond.requests);
    const tokens = lacks(this.#needOf(head.call), this.#share.tokens, perSecond.tokens);
    return Math.max(requests, tokens) * 1_000;
  }

  /** (L6) As the last ask has shown. */
  #parkLong(): void {
    this.#parkHeld();
    const nowMs = performance.now();
    const refillMs = this.#refillMs();
    if (refillMs > LONG_REFILL_MS) this.#park(() => true, refillMs);
    this.#park(({ sinceMs }) => nowMs - sinceMs > LONGEST_WAIT_MS, 0);
  }

  #parkHeld(): void {
    const heldMs = this.#heldUntilMs - performance.now();
    if (heldMs > LONG_HOLD_MS) this.#park(() => true, heldMs);
  }

  #park(which: (waiting: Waiting) => boolean, forMs: number): void {
    for (const waiting of this.#queue.items().filter(which)) {
      this.#queue.remove(waiting);
      waiting.resolve(this.#parked(forMs));
    }
  }

  #parked(forMs: number): { readonly kind: 'parked' } & ParkedCall {
    return { kind: 'parked', reason: 'throttled', because: THROTTLED, untilMs: Date.now() + forMs };
  }
}

const finiteOr0 = (value: number): number => (Number.isFinite(value) ? value : 0);
