import type { CallPass, GateCall, PassEnd } from '../gate/call-gate.js';
import type { CallFailure } from '../model-call.js';
import type { Exchange } from '../openai/exchange.js';
import { isLaneFault } from './lane-fault.js';
import type { Latch } from './latch.js';
import type { Ramp } from './ramp.js';

/** Told what becomes of the calls that have entered. */
export interface PassEars {
  /** OpenAI has answered as it should, a call that set out at that time (monotonic). */
  worked(call: GateCall, enteredAtMs: number): void;
  faulted(call: GateCall, asCanary: boolean): void;
  /** A fault of its lane, by a call that set out at that time (monotonic). */
  met(call: GateCall, failure: CallFailure, enteredAtMs: number): void;
  probed(latch: Latch, end: 'worked' | 'not_sent' | 'unclear'): void;
  /** There may be room. */
  changed(): void;
}

/** One sending through the gate of outages: it takes part in the ramps that it has entered, or is the probe of a latch. */
export class OutagePass implements CallPass {
  readonly #canaryOf: readonly Ramp[];
  #isOver = false;

  constructor(
    private readonly call: GateCall,
    private readonly enteredAtMs: number,
    private readonly ramps: readonly Ramp[],
    private readonly probeOf: Latch | null,
    private readonly ears: PassEars,
  ) {
    this.#canaryOf = ramps.filter((ramp) => ramp.isCanary);
  }

  answered(exchange: Exchange): void {
    if (!isAnAnswer(exchange)) return;
    this.ears.worked(this.call, this.enteredAtMs);
    for (const ramp of this.ramps) ramp.answered(performance.now());
    this.ears.changed();
  }

  /** A fault of its lane at once: whether it ran is found out in minutes, and its lane does not wait for that. */
  lost(failure: CallFailure): void {
    this.leave({ kind: 'failed', failure });
  }

  leave(end: PassEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const nowMs = performance.now();
    if (end.kind === 'completed') for (const ramp of this.ramps) ramp.completed(nowMs);
    for (const ramp of this.ramps) ramp.left();
    if (end.kind === 'failed') {
      const { class: failed, breaker } = end.failure;
      if (breaker === 'transient') this.ears.faulted(this.call, this.#canaryOf.length > 0);
      if (isLaneFault(failed)) this.ears.met(this.call, end.failure, this.enteredAtMs);
    }
    if (this.probeOf !== null) this.ears.probed(this.probeOf, probeEnd(end));
    this.ears.changed();
  }
}

function probeEnd({ kind }: PassEnd): 'worked' | 'not_sent' | 'unclear' {
  if (kind === 'completed') return 'worked';
  return kind === 'not_sent' ? 'not_sent' : 'unclear';
}

/** Whatever it says of the request: OpenAI is there, and takes calls of this account. */
function isAnAnswer(exchange: Exchange): boolean {
  if (exchange.kind !== 'refused') return exchange.kind === 'answered';
  return exchange.isOpenAis && exchange.status < 500 && !saysNothing.includes(exchange.status);
}

const saysNothing = [401, 403, 408, 429];
