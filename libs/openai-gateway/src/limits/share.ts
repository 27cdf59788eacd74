/** What a process may take of a pool, and what a call takes of it. */
import type { GateCall } from '../gate/call-gate.js';
import { SHARE_OF_LIMIT, type PoolLimits } from './pool-limits.js';

export interface Amounts {
  readonly requests: number;
  readonly tokens: number;
}

export interface Share extends Amounts {
  /** Calls on their way at once, those that are included. */
  readonly slots: number;
  /** What the fleet's buckets gain in a second, and hold at most; `Infinity` where no limit is known. */
  readonly perSecond: Amounts;
  readonly size: Amounts;
  /** Slots of the whole fleet. */
  readonly slotsOfFleet: number;
  /** Until OpenAI may be called again; 0: now. */
  readonly holdMs: number;
  /** Processes that use the pool, this one included. */
  readonly holders: number;
}

/** What a call is counted as before it is made: OpenAI counts the larger of what goes in and what may come out. */
export const reservationOf = (call: Pick<GateCall, 'inputTokens' | 'maxOutputTokens'>): number =>
  Math.max(1, call.inputTokens, call.maxOutputTokens);

/** What a process may think of its pool before it has asked. */
export function firstShare({ requests, tokens, windowMs, inFlight }: PoolLimits): Share {
  const used = {
    requests: (requests ?? Infinity) * SHARE_OF_LIMIT,
    tokens: (tokens ?? Infinity) * SHARE_OF_LIMIT,
  };
  const seconds = windowMs / 1_000;
  const perSecond = { requests: used.requests / seconds, tokens: used.tokens / seconds };
  const size = { requests: Math.max(1, used.requests), tokens: used.tokens };
  const nothing = { requests: 0, tokens: 0, slots: 0, holdMs: 0 };
  return { ...nothing, perSecond, size, slotsOfFleet: inFlight, holders: 1 };
}
