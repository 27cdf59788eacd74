/** Several gates, one behind the other: a call enters all of them or none. */
import type { CallGate, CallPass, Entrance, GateCall, Overflow } from './call-gate.js';

export class Gates implements CallGate {
  /** @param gates in the order in which they are entered; the one that may wait longest comes last */
  constructor(private readonly gates: readonly CallGate[]) {}

  tryEnter(call: GateCall): CallPass | null {
    const passes: CallPass[] = [];
    for (const gate of this.gates) {
      const pass = gate.tryEnter(call);
      if (pass === null) return turnBack(passes, null);
      passes.push(pass);
    }
    return allOf(passes);
  }

  async enter(call: GateCall, signal: AbortSignal, overflow?: Overflow): Promise<Entrance> {
    const passes: CallPass[] = [];
    for (const gate of this.gates) {
      const entrance = await gate.enter(call, signal, overflow).catch((error: unknown) => {
        turnBack(passes, null); // (D1)
        throw error;
      });
      if (entrance.kind !== 'entered') return turnBack(passes, entrance);
      passes.push(entrance.pass);
    }
    return { kind: 'entered', pass: allOf(passes) };
  }
}

function turnBack<T>(passes: readonly CallPass[], because: T): T {
  for (const pass of passes) pass.leave({ kind: 'not_sent' });
  return because;
}

const allOf = (passes: readonly CallPass[]): CallPass => ({
  answered: (exchange) => passes.forEach((pass) => pass.answered(exchange)),
  lost: (failure) => passes.forEach((pass) => pass.lost(failure)),
  leave: (end) => passes.forEach((pass) => pass.leave(end)),
});
