/**
 * The breaker of one lane, (account, model), in this process: cockatiel's sampling breaker says when faults are an outage; this
 * says what follows. Closed → open for a while that grows each time → ramping, whose first call decides.
 *
 * Cockatiel's own policy wraps a promise and closes after one good call; a lane is entered and left, and comes back by a ramp.
 */
import { CircuitState, SamplingBreaker } from 'cockatiel';
import { type CanaryProof, Ramp, type RampPolicy } from './ramp.js';

export interface BreakerPolicy {
  /** Faults and good answers are counted over this time. Default 10,000. */
  readonly sampleMs: number;
  /** It opens where more than this share of them are faults … Default 0.5. */
  readonly threshold: number;
  /** … of at least so many. Default 10. */
  readonly minimumSamples: number;
  /** How long it stays open at first; doubled each time its first call fails. Default 5,000. */
  readonly openMs: number;
  /** Default 60,000. */
  readonly maxOpenMs: number;
}

type State =
  | { readonly kind: 'closed' }
  | { readonly kind: 'open'; readonly untilMs: number; readonly times: number }
  /** `times`: that it has opened without closing in between; 0: after a latch. */
  | { readonly kind: 'ramping'; readonly ramp: Ramp; readonly times: number };

export type LaneEntry =
  | { readonly kind: 'entered'; readonly ramp: Ramp | null }
  /** Others are on their way first. */
  | { readonly kind: 'full' }
  | { readonly kind: 'open'; readonly untilMs: number };

export class LaneBreaker {
  readonly #samples: SamplingBreaker;
  #state: State = { kind: 'closed' };

  constructor(
    private readonly policy: BreakerPolicy,
    private readonly rampPolicy: RampPolicy,
    private readonly random: () => number = Math.random,
  ) {
    const { threshold, sampleMs, minimumSamples } = policy;
    const minimumRps = minimumSamples / (sampleMs / 1_000);
    this.#samples = new SamplingBreaker({ threshold, duration: sampleMs, minimumRps });
  }

  /** Null: closed, or it comes back. */
  openUntilMs(nowMs: number): number | null {
    const state = this.#look(nowMs);
    return state.kind === 'open' ? state.untilMs : null;
  }

  /** How many more may enter now. */
  room(nowMs: number): number {
    const state = this.#look(nowMs);
    if (state.kind === 'open') return 0;
    return state.kind === 'closed' ? Infinity : state.ramp.room(nowMs);
  }

  tryEnter(nowMs: number): LaneEntry {
    const state = this.#look(nowMs);
    if (state.kind === 'open') return state;
    if (state.kind === 'closed') return { kind: 'entered', ramp: null };
    return state.ramp.tryEnter(nowMs) ? { kind: 'entered', ramp: state.ramp } : { kind: 'full' };
  }

  /** OpenAI has answered as it should; while it is not closed the faults of before are forgotten. */
  worked(): void {
    this.#samples.success(
      this.#state.kind === 'closed' ? CircuitState.Closed : CircuitState.HalfOpen,
    );
  }

  /** @param asCanary the call was the first of a ramp @returns whether the breaker has opened on it */
  faulted(nowMs: number, asCanary: boolean): boolean {
    const isOutage = this.#samples.failure(CircuitState.Closed);
    return (asCanary || isOutage) && this.open(nowMs);
  }

  /** Few calls have failed, but all of them. @returns whether it was not open before */
  open(nowMs: number): boolean {
    const state = this.#look(nowMs);
    if (state.kind === 'open') return false;
    const times = (state.kind === 'ramping' ? state.times : 0) + 1;
    const { openMs, maxOpenMs } = this.policy;
    const forMs = Math.min(maxOpenMs, openMs * 2 ** (times - 1)) * (1 + this.random() * 0.2);
    this.#state = { kind: 'open', untilMs: nowMs + forMs, times };
    return true;
  }

  /** What was held comes back slowly. */
  comeBack(nowMs: number, proof: CanaryProof): void {
    this.#state = {
      kind: 'ramping',
      ramp: new Ramp(this.rampPolicy, proof, nowMs),
      times: 0,
    };
  }

  #look(nowMs: number): State {
    const state = this.#state;
    if (state.kind === 'open' && nowMs >= state.untilMs) {
      const ramp = new Ramp(this.rampPolicy, 'answered', nowMs);
      this.#state = { kind: 'ramping', ramp, times: state.times };
    }
    if (state.kind === 'ramping' && state.ramp.isOver) this.#state = { kind: 'closed' };
    return this.#state;
  }
}
