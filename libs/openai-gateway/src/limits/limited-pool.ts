/**
 * One model pool as one process uses it: its share of the fleet's buckets, the calls that wait for it, and what is to be told.
 *
 * (L1) A call takes from memory: the share is asked for ahead, for the next half second of what calls have needed lately, so
 *      that a call costs no statement of its own.
 * (L2) Nobody overtakes: while calls wait, a new one waits behind them, in the order of the fair queue.
 * (L3) An unused share goes back as soon as nobody asks for it any more.
 * (L4) What OpenAI has asked holds here at once (share-in-hand.ts), and for the fleet with the next ask.
 * (L5) Every wait has an end: the owner's signal, a limit that will not be free for long, five minutes.
 * (L6) Where a call may go elsewhere, the one whose turn it is does so after a second, if it is taken there at once.
 */
import { performance } from 'node:perf_hooks';
import type { Metrics } from '#libs/metrics';
import type { Sql } from '#libs/postgres';
import type { FieldLog } from '#libs/process';
import type { CallPass, Entrance, GateCall, Overflow, PassEnd } from '../gate/call-gate.js';
import type { CallFailure } from '../model-call.js';
import type { Exchange } from '../openai/exchange.js';
import { AskTimer } from './ask-timer.js';
import { Demand } from './demand.js';
import { takeShare, type Ask } from './limit-buckets.store.js';
import type { PoolLimits } from './pool-limits.js';
import { PoolEars } from './pool-ears.js';
import { refusalOf } from './read-limit-headers.js';
import { ShareInHand, SHARE_LASTS_MS, SPARE_SLOTS } from './share-in-hand.js';
import type { Amounts } from './share.js';
import { parkedFor, WaitingCalls } from './waiting-calls.js';

export interface PoolParts {
  readonly database: Sql;
  /** Names this process to the others. */
  readonly holder: string;
  readonly log: FieldLog;
  readonly metrics: Metrics;
}

/** What a claim may count on. */
export interface Room {
  readonly account: string;
  readonly models: readonly string[];
  /** OpenAI has asked not to be called, for so long; 0: it has not. */
  readonly heldForMs: number;
  /** Calls that may come now without waiting for more than about two seconds. */
  readonly calls: number;
  /** Runs that keep it busy so, those whose calls are on their way included. */
  readonly runs: number;
}

const RENEW_MS = 400;
const KEEP_SLOTS_MS = 3_000;
const SHORTEST_GAP_MS = 20;
const LONGEST_GAP_MS = 500;
const ROOM_SECONDS = 2;
const ROOM_AT_LEAST = 2;
/** What is held for longer gives its slot back. */
const LONG_HOLD_MS = 30_000;
/** A limit per minute is full again in less; a limit per day may not be. */
const LONG_REFILL_MS = 90_000;
const LONGEST_WAIT_MS = 300_000;

export class LimitedPool {
  readonly #waiting = new WaitingCalls();
  readonly #share: ShareInHand;
  readonly #ears: PoolEars;
  readonly #demand = new Demand(performance.now());
  readonly #asks = new AskTimer(() => this.#ask(), {
    ...{ shortestMs: SHORTEST_GAP_MS, afterFailureMs: LONGEST_GAP_MS },
  });
  #inUse = 0;
  readonly #inUseBy = new Map<string, number>();
  #isUrgent = false;
  #closed = false;
  readonly #models = new Set<string>();

  constructor(
    readonly limits: PoolLimits,
    private readonly parts: PoolParts,
  ) {
    this.#share = new ShareInHand(limits);
    this.#ears = new PoolEars(limits, this.#share, parts);
    limits.models.forEach((model) => this.#models.add(model));
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get inUse(): number {
    return this.#inUse;
  }

  tryEnter(call: GateCall): CallPass | null {
    this.#models.add(call.model);
    if (this.#waiting.size === 0 && this.#fits(call)) return this.#take(call); // (L2)
    this.#demand.turnAway(this.#share.needOf(call));
    this.#asks.within(0);
    return null;
  }

  enter(call: GateCall, signal: AbortSignal, overflow?: Overflow): Promise<Entrance> {
    const pass = this.tryEnter(call);
    if (pass !== null) return Promise.resolve({ kind: 'entered', pass });
    return this.#wait(call, signal, overflow);
  }

  room(): Room {
    const { perSecond, slotsOfFleet, holders } = this.#share.known;
    const perCall = Math.max(1, this.#demand.tokensPerCall);
    const callsPerSecond = Math.min(perSecond.requests, perSecond.tokens / perCall) / holders;
    const freeSlots = Math.max(0, slotsOfFleet / holders - this.#inUse);
    const ahead = Math.ceil(Math.min(callsPerSecond * ROOM_SECONDS, freeSlots)) + ROOM_AT_LEAST;
    return {
      account: this.limits.account,
      models: [...this.#models],
      heldForMs: Math.max(0, this.#share.heldMs),
      calls: Math.max(0, ahead - this.#waiting.size),
      runs: this.#inUse + ahead,
    };
  }

  /** Gives everything back. Whoever still waits is parked. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.park(0);
    await this.#asks.stop();
    if (this.#share.slots > 0) await this.#ask();
  }

  async #wait(
    call: GateCall,
    signal: AbortSignal,
    overflow: Overflow | undefined,
  ): Promise<Entrance> {
    if (this.#closed) return parkedFor(0);
    if (signal.aborted) return { kind: 'aborted' };
    const sinceMs = performance.now();
    const entrance = this.#waiting.wait(call, signal, overflow, () => this.#pump());
    this.#demand.cameBack(this.#share.needOf(call));
    this.#parkHeld();
    this.#pump();
    const labels = { pool: this.limits.pool, outcome: (await entrance).kind };
    const tookSeconds = (performance.now() - sinceMs) / 1_000;
    this.parts.metrics.observe('holdfast_limit_wait_seconds', labels, tookSeconds);
    return entrance;
  }

  /** Lets go who may, in the queue's order. */
  #pump(): void {
    for (let next; (next = this.#waiting.head) !== undefined;) {
      if (this.#fits(next)) this.#waiting.letGo({ kind: 'entered', pass: this.#take(next) });
      else if (!this.#sendElsewhere()) break;
    }
    if (this.#waiting.size > 0) this.#asks.within(this.#untilHeadMs());
  }

  /** (L6) */
  #sendElsewhere(): boolean {
    const elsewhere = this.#closed ? null : this.#waiting.headElsewhere(performance.now());
    if (elsewhere === null) return false;
    this.#waiting.letGo({ kind: 'entered_elsewhere', ...elsewhere });
    return true;
  }

  #fits(call: GateCall): boolean {
    return !this.#closed && this.#share.covers(call, this.#inUse);
  }

  /** (L1) */
  #take(call: GateCall): CallPass {
    const tokens = this.#share.needOf(call);
    this.#share.take(tokens);
    this.#demand.entered(tokens);
    this.#onTheirWay(call.tenant, 1);
    this.#asks.within(this.#isUrgent ? 0 : RENEW_MS); // nobody need leave anything for it any more
    return this.#passOf(call.tenant, tokens);
  }

  #passOf(tenant: string, tokens: number): CallPass {
    const enteredAtMs = performance.now();
    let isTold = false;
    const tell = (failure: CallFailure | null, headers: Headers | null) => {
      const isLower = headers !== null && this.#ears.learn(headers);
      const isNews = failure !== null && !isTold && this.#ears.hear(failure, enteredAtMs);
      isTold ||= isNews;
      if (isLower || isNews) this.#asks.within(0); // (L4)
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
        if (end.kind === 'not_sent') this.#share.putBack(tokens);
        if (end.kind === 'completed') this.#share.owe(Math.max(0, end.usage.totalTokens - tokens));
        this.#pump();
        this.#asks.within(KEEP_SLOTS_MS);
      },
    };
  }

  #onTheirWay(tenant: string, by: 1 | -1): void {
    this.#inUse += by;
    const left = (this.#inUseBy.get(tenant) ?? 0) + by;
    if (left === 0) this.#inUseBy.delete(tenant);
    else this.#inUseBy.set(tenant, left);
  }

  /** False: it was not answered, and nothing has changed. */
  async #ask(): Promise<boolean> {
    const { database, holder, metrics, log } = this.parts;
    const { account, pool } = this.limits;
    const sentAtMs = performance.now();
    const ask = this.#nextAsk(sentAtMs);
    try {
      this.#share.receive(await takeShare(database, this.limits, holder, ask), sentAtMs);
      metrics.add('holdfast_limit_asks_total', { pool });
      this.#pump();
      this.#parkLong();
      this.#goOn();
      return true;
    } catch (error) {
      this.#ears.tidings.notTold(ask, sentAtMs);
      log.warn(
        { account, pool, error },
        'the share of a limit could not be asked for; asking again',
      );
      return false;
    }
  }

  /** What the share lacks is wanted, what it has too much goes back (L3). */
  #nextAsk(nowMs: number): Ask {
    const comingBack = this.#demand.turnedAway;
    const target = this.#target(nowMs);
    const inUse = this.#inUse;
    const spare = target.requests > 0 ? SPARE_SLOTS + Math.ceil(inUse / 4) : 0;
    const wantSlots = this.#closed ? 0 : inUse + this.#waiting.size + comingBack + spare;
    return {
      ...this.#share.turnIn(target, nowMs),
      slots: { inUse, want: wantSlots },
      urgent: this.#urgent(),
      ...this.#ears.tidings.take(nowMs),
    };
  }

  #target(nowMs: number): Amounts {
    const { size, holders } = this.#share.known;
    const { calls, head } = this.#waiting;
    const needs = (all: readonly GateCall[]): Amounts => ({
      requests: all.length,
      tokens: all.reduce((sum, call) => sum + this.#share.needOf(call), 0),
    });
    const fairPart = { requests: size.requests / holders, tokens: size.tokens / holders };
    const queue = { waiting: needs(calls), head: needs(head === undefined ? [] : [head]) };
    const target = this.#demand.target(queue, fairPart, nowMs);
    return this.#closed ? { requests: 0, tokens: 0 } : target;
  }

  /** What the next one lacks, where its tenant has nothing on its way. */
  #urgent(): Amounts {
    const { head } = this.#waiting;
    this.#isUrgent = head !== undefined && !this.#inUseBy.has(head.tenant);
    if (!this.#isUrgent || head === undefined) return { requests: 0, tokens: 0 };
    return this.#share.lackOf(head);
  }

  /** When to ask again, if at all. */
  #goOn(): void {
    if (this.#waiting.size > 0) return; // #pump has seen to it
    if (this.#demand.isSteady) this.#asks.within(RENEW_MS);
    else if (this.#inUse > 0) this.#asks.within(KEEP_SLOTS_MS);
    else if (this.#share.isWorthReturning) this.#asks.within(SHARE_LASTS_MS);
  }

  /** How soon it makes sense to ask again for the one whose turn it is. */
  #untilHeadMs(): number {
    const { heldMs } = this.#share;
    const waitMs = heldMs > 0 ? heldMs : this.#refillMs();
    return Math.min(LONGEST_GAP_MS, Math.max(SHORTEST_GAP_MS, waitMs));
  }

  #refillMs(): number {
    const { head } = this.#waiting;
    return head === undefined ? 0 : this.#share.refillMs(head);
  }

  /** (L5) As the last ask has shown. */
  #parkLong(): void {
    this.#parkHeld();
    const refillMs = this.#refillMs();
    if (refillMs > LONG_REFILL_MS) this.#waiting.park(refillMs);
    this.#waiting.park(0, LONGEST_WAIT_MS);
  }

  #parkHeld(): void {
    const { heldMs } = this.#share;
    if (heldMs > LONG_HOLD_MS) this.#waiting.park(heldMs);
  }
}
