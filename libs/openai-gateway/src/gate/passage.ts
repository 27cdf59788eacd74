/** One call on its way through the gate, over all its sendings (D1). */
import { QUEUE_WAIT_MS } from '../accounts/decide-failover.js';
import type { CallFailure, ModelCallOutcome } from '../model-call.js';
import type { Exchange } from '../openai/exchange.js';
import type { CallGate, CallPass, Elsewhere, GateCall, NoEntrance, PassEnd } from './call-gate.js';

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

  /**
   * Null: the next sending may leave.
   * @param others accounts that the call may go to instead, in their order, where it has to wait for long
   */
  async enter(signal: AbortSignal, others: readonly string[]): Promise<NoEntrance | null> {
    if (this.tryEnter()) return null;
    const elsewhere = { tryEnter: () => this.#tryElsewhere(others) };
    const overflow = others.length === 0 ? undefined : elsewhere;
    const entrance = await this.gate.enter(this.call, signal, overflow);
    switch (entrance.kind) {
      case 'entered':
        this.#pass = entrance.pass;
        return null;
      case 'entered_elsewhere':
        return this.#wentTo(entrance);
      case 'parked': {
        const taken = await this.#enterElsewhere(others, signal);
        return taken === null ? entrance : this.#wentTo(taken);
      }
      case 'aborted':
        return entrance;
    }
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

  #tryElsewhere(others: readonly string[]): Elsewhere | null {
    for (const account of others) {
      const pass = this.gate.tryEnter({ ...this.call, account });
      if (pass !== null) return { account, pass };
    }
    return null;
  }

  /** Waits a moment with each: an account that is idle has no share of its limits in hand, and asks for one. */
  async #enterElsewhere(others: readonly string[], signal: AbortSignal): Promise<Elsewhere | null> {
    for (const account of others) {
      const moment = AbortSignal.any([signal, AbortSignal.timeout(QUEUE_WAIT_MS)]);
      const entrance = await this.gate.enter({ ...this.call, account }, moment);
      if (entrance.kind === 'entered') return { account, pass: entrance.pass };
    }
    return null;
  }

  /** The pass is there, and the call is still with the account before in the ledger. */
  #wentTo({ account, pass }: Elsewhere): NoEntrance {
    this.#pass = pass;
    this.call = { ...this.call, account };
    return { kind: 'moved', account };
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
