/**
 * Keeps calls from a lane that has an outage, and lets them back slowly. Latches (billing, authorization, configuration) hold for
 * the whole fleet; the breaker (transient faults) is this process's own.
 *
 * (O1) While a lane is shut nothing leaves for it but the probe of a latch: one call in the fleet.
 * (O2) A lane comes back by a ramp, in each process: one call, then 2, 4, 8 … After a latch the first has to come to its end;
 *      after a breaker it is enough that OpenAI takes it.
 * (O3) A call that met a fault of its lane, or on which the breaker opened, is told as parked: its run loses nothing. When it is
 *      told, the lane is known to be shut, here and in the database.
 * (O4) Calls that OpenAI has accepted need no gate: they are polled while their lane is shut.
 * (O5) What a fault says is told when the lane has shown whose it was (decide-fault.ts), after `verdictMs` at the latest: few calls
 *      that all fail are an outage like many.
 */
import { failureRules } from '#libs/domain';
import type { FieldLog } from '#libs/process';
import type { Metrics } from '#libs/metrics';
import type { Database } from '#libs/postgres';
import type { CallGate, CallPass, Entrance, GateCall } from '../gate/call-gate.js';
import type { CallFailure, FailedCall, ModelCallOutcome, ParkedCall } from '../model-call.js';
import { pause } from '../openai/follow-response.js';
import { decideFault } from './decide-fault.js';
import { KnownLatches } from './known-latches.js';
import {
  isGivenBack,
  isLaneFault,
  type GivenBackClass,
  type LaneFaultClass,
} from './lane-fault.js';
import { LaneBreaker } from './lane-breaker.js';
import { LaneFaults } from './lane-faults.js';
import { type Lane, laneKey, type Latch, wordsForLatch } from './latch.js';
import { LatchesStore, type ReleasedBy, type TellOutage } from './latches.store.js';
import { OutagePass, type PassEars } from './outage-pass.js';
import type { OutagePolicy } from './outage-policy.js';
import { Ramp } from './ramp.js';

export interface OutageParts {
  readonly database: Database;
  readonly tell: TellOutage;
  readonly policy: OutagePolicy;
  readonly log: FieldLog;
  readonly metrics: Metrics;
}

/** A lane that takes no calls at the moment. */
export interface ShutLane extends Lane {
  /** For the person who waits. */
  readonly because: string;
  /** Epoch ms; null: nobody knows. */
  readonly untilMs: number | null;
}

/** How many more runs may be taken up now. */
export interface LaneRoom {
  /** Over all models; null: any number. */
  readonly inAll: number | null;
  /** Models that are not named take any number. */
  readonly byModel: ReadonlyMap<string, number>;
}

const breakerWords = 'the AI service cannot be reached, or is down';
const comingBackWords = 'the AI service is coming back, and runs take their turn';
/** A run whose turn did not come looks again after that. */
const nextLookMs = 5_000;
/** That a run waits at most which was the first of a lane that came back, and failed. */
const maxRests = 5;
/** The lane was mended while the call was on its way. */
const justReleasedMs = 1_000;

interface MetFault {
  readonly by: GateCall;
  readonly failure: CallFailure;
  readonly failed: LaneFaultClass;
  readonly enteredAtMs: number;
}

/** A fault that may pass. */
interface TransientFault {
  readonly by: GateCall;
  /** Monotonic. */
  readonly atMs: number;
}

type ModelLane = Lane & { readonly model: string };

interface BreakingLane {
  readonly lane: ModelLane;
  readonly breaker: LaneBreaker;
  readonly faults: LaneFaults;
}

export class OutageGate implements CallGate {
  readonly #latches: KnownLatches;
  readonly #breakers = new Map<string, BreakingLane>();
  /** Accounts that come back after a latch. */
  readonly #ramps = new Map<string, Ramp>();
  /** Call id → the lane faults that its sendings met, each with its account. */
  readonly #found = new Map<string, readonly MetFault[]>();
  /** Call id → the newest fault of it that may pass. */
  readonly #faulted = new Map<string, TransientFault>();
  readonly #waiting = new Set<AbortController>();
  readonly #stopping = new AbortController();
  readonly #tasks = new Set<Promise<void>>();

  constructor(private readonly parts: OutageParts) {
    const { database, tell, policy, log, metrics } = parts;
    this.#latches = new KnownLatches({
      ...{ policy, log, metrics, nowMs: () => performance.now() },
      store: new LatchesStore(database, tell),
      onReleased: (lane) => this.#comeBack(lane),
      onChanged: () => this.#wake(),
    });
  }

  /** Knows the latches when it resolves, and follows them from then on. */
  async start(): Promise<void> {
    await this.#latches.refresh();
    this.#inBackground(this.#follow());
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await Promise.all(this.#tasks);
  }

  tryEnter(call: GateCall): CallPass | null {
    const nowMs = performance.now();
    if (this.#latches.on(call) !== null) return null; // (O1)
    const { breaker } = this.#breakerOf(call);
    const account = this.#rampOf(call.account);
    if (account !== null && account.room(nowMs) === 0) return null;
    const entry = breaker.tryEnter(nowMs);
    if (entry.kind !== 'entered') return null;
    account?.tryEnter(nowMs); // (O2)
    const ramps = [entry.ramp, account].filter((ramp) => ramp !== null);
    return new OutagePass(call, nowMs, ramps, null, this.#ears);
  }

  async enter(call: GateCall, signal: AbortSignal): Promise<Entrance> {
    const givenUpAtMs = performance.now() + this.parts.policy.turnMs;
    for (;;) {
      const pass = this.tryEnter(call) ?? (await this.#probe(call));
      if (pass !== null) return { kind: 'entered', pass };
      const shut = this.#shut(call);
      if (shut !== null) return parkedBy(shut);
      const leftMs = givenUpAtMs - performance.now();
      if (leftMs <= 0) return parkedBy(inAWhile(comingBackWords, nextLookMs));
      await this.#change(Math.min(leftMs, this.parts.policy.stepMs), signal);
      if (signal.aborted || this.#stopping.signal.aborted) return { kind: 'aborted' };
    }
  }

  /** (O1) */
  async #probe(call: GateCall): Promise<CallPass | null> {
    const latch = this.#latches.on(call);
    const taken = latch === null ? null : await this.#latches.takeProbe(latch);
    return taken && new OutagePass(call, performance.now(), [], taken, this.#ears);
  }

  /** What its owner is told (O3, O5). The signal ends the waiting. */
  async tellOf(
    call: GateCall,
    outcome: ModelCallOutcome,
    signal: AbortSignal,
  ): Promise<ModelCallOutcome> {
    const found = this.#found.get(call.callId) ?? [];
    const fault = this.#faulted.get(call.callId);
    this.#found.delete(call.callId);
    this.#faulted.delete(call.callId);
    for (const { by, failure, failed, enteredAtMs } of found)
      await this.#latch(by, failure, failed, enteredAtMs);
    if (outcome.kind !== 'failed') return outcome;
    const { failure } = outcome;
    if (isLaneFault(failure.class) && failure.breaker !== 'none') {
      return parkedBy(
        this.#shut(found.at(-1)?.by ?? call) ??
          inAWhile(failureRules[failure.class].people, justReleasedMs),
      );
    }
    if (fault === undefined || !isGivenBack(failure.class)) return outcome;
    return this.#tellOfFault(fault, failure.class, outcome, signal);
  }

  /** (O5) */
  async #tellOfFault(
    { by, atMs }: TransientFault,
    failed: GivenBackClass,
    outcome: FailedCall,
    signal: AbortSignal,
  ): Promise<ModelCallOutcome> {
    const { policy } = this.parts;
    const { breaker, faults } = this.#breakerOf(by);
    const subject = subjectOf(by);
    for (;;) {
      const nowMs = performance.now();
      const facts = {
        ...{ class: failed, try: by.try, isShut: this.#shut(by) !== null, agoMs: nowMs - atMs },
        hasWorkedSince: faults.hasWorkedSince(atMs),
        othersFailed: faults.othersThan(subject, nowMs),
      };
      switch (decideFault(facts, policy)) {
        case 'of_call':
          return outcome;
        case 'in_doubt':
          return { ...outcome, isInDoubt: true };
        case 'of_lane':
          if (!facts.isShut && breaker.open(nowMs)) this.#tellOpened(by);
          return parkedBy(this.#shutFor(by, failed));
        case 'not_known_yet':
          await this.#change(atMs + policy.verdictMs - nowMs, signal);
          if (signal.aborted || this.#stopping.signal.aborted)
            return { ...outcome, isInDoubt: true };
      }
    }
  }

  /** Who fails again and again as the first of a lane that comes back lets others be that: one of them may do better. */
  #shutFor(call: GateCall, failed: GivenBackClass): Pick<ShutLane, 'because' | 'untilMs'> {
    const shut = this.#shut(call) ?? inAWhile(comingBackWords, nextLookMs);
    if (shut.untilMs === null || failed === 'not_sent') return shut;
    const restMs = Math.max(0, shut.untilMs - Date.now());
    const rests = Math.min(maxRests, this.#breakerOf(call).faults.timesOf(subjectOf(call)));
    return { ...shut, untilMs: shut.untilMs + restMs * Math.max(0, rests - 1) };
  }

  /** OpenAI refuses our key while an accepted call is polled: new ones would fare no better. */
  pollRefused(call: GateCall, failure: CallFailure): void {
    if (!isLaneFault(failure.class) || this.#latches.on(call) !== null) return;
    this.#inBackground(this.#latch(call, failure, failure.class, performance.now()));
  }

  /** For who takes up runs: those that would only wait are left where they are. */
  room(account: string): LaneRoom {
    const nowMs = performance.now();
    const byModel = new Map<string, number>();
    for (const { lane, breaker } of this.#breakers.values())
      if (lane.account === account) limit(byModel, lane.model, breaker.room(nowMs));
    let inAll = this.#rampOf(account)?.room(nowMs) ?? Infinity;
    for (const latch of this.#latches.held.filter((each) => each.account === account)) {
      const room = this.#latches.isProbeDue(latch) ? 1 : 0;
      if (latch.model === null) inAll = Math.min(inAll, room);
      else byModel.set(latch.model, room);
    }
    return { inAll: inAll === Infinity ? null : inAll, byModel };
  }

  shutLanes(): readonly ShutLane[] {
    const nowMs = performance.now();
    const open = [...this.#breakers.values()].flatMap(({ lane, breaker }) => {
      const untilMs = breaker.openUntilMs(nowMs);
      return untilMs === null ? [] : [openLane(lane, untilMs, nowMs)];
    });
    return [...this.#latches.held.map(shutBy), ...open];
  }

  /** The same, and those that are only coming back: what is queued for them waits, too. */
  waitedFor(): readonly ShutLane[] {
    const nowMs = performance.now();
    const comingBack = (lane: Lane): ShutLane => ({
      ...lane,
      ...inAWhile(comingBackWords, nextLookMs),
    });
    const models = [...this.#breakers.values()].filter(
      ({ breaker }) => breaker.openUntilMs(nowMs) === null && breaker.room(nowMs) !== Infinity,
    );
    const accounts = [...this.#ramps.keys()].filter((account) => this.#rampOf(account) !== null);
    return [
      ...this.shutLanes(),
      ...models.map(({ lane }) => comingBack(lane)),
      ...accounts.map((account) => comingBack({ account, model: null })),
    ];
  }

  latches(): readonly Latch[] {
    return this.#latches.held;
  }

  /** False: no such latch is held. */
  release(latchId: string, by: ReleasedBy): Promise<boolean> {
    return this.#latches.release(latchId, by);
  }

  async #follow(): Promise<void> {
    const { policy, log } = this.parts;
    for (const { signal } = this.#stopping; ;) {
      await pause(policy.refreshMs, signal);
      if (signal.aborted) return;
      await this.#latches
        .refresh()
        .catch((error: unknown) => log.warn({ error }, 'reading the latches failed; trying again'));
    }
  }

  async #latch(
    { account, model }: GateCall,
    failure: CallFailure,
    failed: LaneFaultClass,
    enteredAtMs: number,
  ): Promise<void> {
    await this.#latches.set({ lane: { account, model }, class: failed, failure }, enteredAtMs);
  }

  readonly #ears: PassEars = {
    worked: (call, enteredAtMs) => {
      const { breaker, faults } = this.#breakerOf(call);
      breaker.worked();
      faults.worked(enteredAtMs);
    },
    faulted: (call, asCanary) => {
      const { breaker, faults } = this.#breakerOf(call);
      const atMs = performance.now();
      faults.met(subjectOf(call), atMs);
      this.#faulted.set(call.callId, { by: call, atMs });
      if (breaker.faulted(atMs, asCanary)) this.#tellOpened(call);
    },
    met: (by, failure, enteredAtMs) => {
      if (!isLaneFault(failure.class)) return;
      const before = this.#found.get(by.callId) ?? [];
      const met = { by, failure, failed: failure.class, enteredAtMs };
      this.#found.set(by.callId, [...before, met]);
    },
    probed: (latch, end) => {
      if (end === 'worked')
        this.#inBackground(this.release(latch.latchId, 'probe').then(() => undefined));
      if (end === 'not_sent') this.#inBackground(this.#latches.giveProbeBack(latch));
    },
    changed: () => this.#wake(),
  };

  #tellOpened({ account, model }: GateCall): void {
    this.parts.metrics.add('holdfast_breaker_opened_total', { model });
    this.parts.log.warn({ account, model }, 'breaker opened: runs of this lane wait');
  }

  #shut(call: GateCall): ShutLane | null {
    const latch = this.#latches.on(call);
    if (latch !== null) return shutBy(latch);
    const nowMs = performance.now();
    const { lane, breaker } = this.#breakerOf(call);
    const untilMs = breaker.openUntilMs(nowMs);
    return untilMs === null ? null : openLane(lane, untilMs, nowMs);
  }

  /** (O2) */
  #comeBack({ account, model }: Lane): void {
    const nowMs = performance.now();
    if (model === null) this.#ramps.set(account, new Ramp(this.parts.policy, 'completed', nowMs));
    else this.#breakerOf({ account, model }).breaker.comeBack(nowMs, 'completed');
    this.#wake();
  }

  #rampOf(account: string): Ramp | null {
    const ramp = this.#ramps.get(account);
    if (ramp?.isOver) this.#ramps.delete(account);
    return ramp === undefined || ramp.isOver ? null : ramp;
  }

  #breakerOf({ account, model }: ModelLane): BreakingLane {
    const lane = { account, model };
    const key = laneKey(lane);
    const known = this.#breakers.get(key);
    if (known !== undefined) return known;
    const { policy } = this.parts;
    const breaker = new LaneBreaker(policy, policy);
    const made = { lane, breaker, faults: new LaneFaults(policy.rememberMs) };
    this.#breakers.set(key, made);
    return made;
  }

  /** Until something may have changed, or the time is up. */
  async #change(ms: number, signal: AbortSignal): Promise<void> {
    const change = new AbortController();
    this.#waiting.add(change);
    try {
      await pause(ms, AbortSignal.any([signal, change.signal, this.#stopping.signal]));
    } finally {
      this.#waiting.delete(change);
    }
  }

  #wake(): void {
    for (const change of [...this.#waiting]) change.abort();
  }

  #inBackground(work: Promise<void>): void {
    const task = work.catch((error: unknown) =>
      this.parts.log.warn({ error }, 'a latch could not be written; it is found again'),
    );
    this.#tasks.add(task);
    void task.finally(() => this.#tasks.delete(task));
  }
}

/** What was asked, over all its tries. */
const subjectOf = ({ runId, step, item }: GateCall) => `${runId} ${step} ${item}`;

const shutBy = (latch: Latch): ShutLane => ({
  ...{ account: latch.account, model: latch.model },
  ...{ because: wordsForLatch(latch), untilMs: null },
});

const openLane = (lane: Lane, untilMs: number, nowMs: number): ShutLane => ({
  ...lane,
  ...inAWhile(breakerWords, untilMs - nowMs),
});

const inAWhile = (because: string, ms: number) => ({ because, untilMs: Date.now() + ms });

const parkedBy = ({ because, untilMs }: Pick<ShutLane, 'because' | 'untilMs'>) =>
  ({ kind: 'parked', reason: 'outage', because, untilMs }) as const satisfies {
    readonly kind: 'parked';
  } & ParkedCall;

function limit(byModel: Map<string, number>, model: string, room: number): void {
  if (room !== Infinity) byModel.set(model, room);
}
