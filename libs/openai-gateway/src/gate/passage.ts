/** One call on its way through the gate, over all its sendings (D1). */
import type { CallFailure, ModelCallOutcome } from '../model-call.js';
import type { Exchange } from '../openai/exchange.js';
import type { CallGate, CallPass, Entrance, GateCall, PassEnd } from './call-gate.js';

export class Passage {
  #pass: CallPass | null = null;
  #isSent = false;

  constructor(
    private readonly gate: CallGate,
    private call: GateCall,
  ) {}

  /** True: the next sending may leave. */
  tryEnter(): boolean {
    this.#leaveSent();
    this.#pass ??= this.gate.tryEnter(this.call);
    return this.#pass !== null;
  }

  /** Null: the next sending may leave. */
  async enter(signal: AbortSignal): Promise<Exclude<Entrance, { kind: 'entered' }> | null> {
    if (this.tryEnter()) return null;
    const entrance = await this.gate.enter(this.call, signal);
    if (entrance.kind !== 'entered') return entrance;
    this.#pass = entrance.pass;
    return null;
  }

  /** The next sending goes with this account. */
  moveTo(account: string): void {
    if (account === this.call.account) return;
    this.#leave({ kind: 'left' });
    this.call = { ...this.call, account };
  }

  /** The sending was turned away, and the next one goes elsewhere. */
  refused(failure: CallFailure): void {
    this.#leave({ kind: 'failed', failure });
  }

  sent(): void {
    this.#isSent = true;
  }

  answered(exchange: Exchange): void {
    this.#pass?.answered(exchange);
  }

  lost(failure: CallFailure): void {
    this.#pass?.lost(failure);
  }

  /** Null: it could not be carried through. */
  leave(outcome: ModelCallOutcome | null): void {
    this.#leave(outcome === null ? { kind: 'left' } : endOf(outcome));
  }

  /** What became of the sending before is not known, and it is to be sent again. */
  #leaveSent(): void {
    if (this.#isSent) this.#leave({ kind: 'left' });
  }

  #leave(end: PassEnd): void {
    this.#pass?.leave(this.#isSent ? end : { kind: 'not_sent' });
    this.#pass = null;
    this.#isSent = false;
  }
}

function endOf(outcome: ModelCallOutcome): PassEnd {
  switch (outcome.kind) {
    case 'completed':
    case 'failed':
      return outcome;
    case 'not_owner':
    case 'stopped':
    case 'parked':
    case 'aborted':
      return { kind: 'left' };
  }
}
