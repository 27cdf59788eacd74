/** The calls of one pool that wait for their turn, in fair order. */
import { performance } from 'node:perf_hooks';
import { mayLeaveQueue } from '../accounts/decide-failover.js';
import type { CallPass, Elsewhere, Entrance, GateCall, Overflow } from '../gate/call-gate.js';
import type { ParkedCall } from '../model-call.js';
import { FairQueue, type Queued } from './fair-queue.js';
import { reservationOf } from './share.js';

const THROTTLED = 'the AI service allows us no more work just now';

interface Waiting extends Queued {
  readonly call: GateCall;
  readonly sinceMs: number;
  readonly overflow: Overflow | undefined;
  readonly resolve: (entrance: Entrance) => void;
}

export class WaitingCalls {
  readonly #queue = new FairQueue<Waiting>();

  get size(): number {
    return this.#queue.size;
  }

  /** In no order. */
  get calls(): readonly GateCall[] {
    return this.#queue.items().map(({ call }) => call);
  }

  /** Whose turn it is. */
  get head(): GateCall | undefined {
    return this.#queue.peek()?.call;
  }

  /** Of the head alone, so that the fair order holds over all accounts: another one takes it, where it has waited for long. */
  headElsewhere(nowMs: number): Elsewhere | null {
    const head = this.#queue.peek();
    if (head === undefined || !mayLeaveQueue(nowMs - head.sinceMs)) return null;
    return head.overflow?.tryEnter() ?? null;
  }

  /** @param onAborted its owner stopped waiting; it is no longer here */
  async wait(
    call: GateCall,
    signal: AbortSignal,
    overflow: Overflow | undefined,
    onAborted: () => void,
  ): Promise<Entrance> {
    const { promise, resolve } = Promise.withResolvers<Entrance>();
    const { tenant, priority, weight = 1 } = call;
    const cost = reservationOf(call);
    const sinceMs = performance.now();
    const waiting = { call, tenant, priority, weight, cost, sinceMs, overflow, resolve };
    const onAbort = () => {
      if (this.#queue.remove(waiting)) resolve({ kind: 'aborted' });
      onAborted();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#queue.push(waiting);
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** The head goes. */
  letGo(entrance: Extract<Entrance, { readonly pass: CallPass }>): void {
    this.#queue.shift()?.resolve(entrance);
  }

  /** @param longerThanMs those that have waited for longer; all of them where it is not said */
  park(forMs: number, longerThanMs = -1): void {
    const nowMs = performance.now();
    for (const waiting of this.#queue.items()) {
      if (nowMs - waiting.sinceMs <= longerThanMs) continue;
      this.#queue.remove(waiting);
      waiting.resolve(parkedFor(forMs));
    }
  }
}

export const parkedFor = (ms: number): { readonly kind: 'parked' } & ParkedCall => ({
  ...{ kind: 'parked', reason: 'throttled', because: THROTTLED, untilMs: Date.now() + ms },
});
