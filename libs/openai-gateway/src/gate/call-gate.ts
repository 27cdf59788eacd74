/**
 * What stands between a call and the wire: asked before each sending, told what came of it.
 *
 * (D1) A pass is for one sending. Whoever enters leaves exactly once, whatever happens.
 * (D2) Calls that are on their way or over need no gate: they are polled, picked up and read while their lane is shut.
 */
import type { RunPriority, ServiceTier } from '#libs/domain';
import type { CallFailure, ParkedCall, Usage } from '../model-call.js';
import type { Exchange } from '../openai/exchange.js';

/** What a gate knows of a call. */
export interface GateCall {
  readonly callId: string;
  readonly tenant: string;
  readonly runId: string;
  /** Step, item and try: what it is for in its run. */
  readonly step: number;
  readonly item: number;
  readonly try: number;
  readonly priority: RunPriority;
  /** By name, as the settings have it. */
  readonly account: string;
  readonly model: string;
  readonly tier: ServiceTier;
  /** The tenant's part where several wait; default 1. */
  readonly weight?: number;
  /** Estimated, from above. */
  readonly inputTokens: number;
  readonly maxOutputTokens: number;
}

export interface CallGate {
  /** At once or not at all. */
  tryEnter(call: GateCall): CallPass | null;
  /** Waits for its turn for as long as waiting in the process makes sense, or until another account takes it first. */
  enter(call: GateCall, signal: AbortSignal, overflow?: Overflow): Promise<Entrance>;
}

/** The other accounts of a call's route, for one that has to wait for long. */
export interface Overflow {
  /** At once or not at all. */
  tryEnter(): Elsewhere | null;
}

export interface Elsewhere {
  readonly account: string;
  readonly pass: CallPass;
}

export type Entrance =
  | { readonly kind: 'entered'; readonly pass: CallPass }
  | ({ readonly kind: 'entered_elsewhere' } & Elsewhere)
  | ({ readonly kind: 'parked' } & ParkedCall)
  | { readonly kind: 'aborted' };

/** A call may not leave as it stands. */
export type NoEntrance =
  | Exclude<Entrance, { kind: 'entered' | 'entered_elsewhere' }>
  /** This account takes it, once the ledger says so too: until then nothing may leave. */
  | { readonly kind: 'moved'; readonly account: string };

export interface CallPass {
  /** OpenAI's answer to the POST, or that none came. */
  answered(exchange: Exchange): void;
  /** Nobody knows what became of it: it is being found out, and it may still go on at OpenAI. */
  lost(failure: CallFailure): void;
  leave(end: PassEnd): void;
}

export type PassEnd =
  /** Nothing left: what was reserved is free again. */
  | { readonly kind: 'not_sent' }
  | { readonly kind: 'completed'; readonly usage: Usage }
  | { readonly kind: 'failed'; readonly failure: CallFailure }
  /** Its owner went, or its outcome is unknown: it may still go on at OpenAI. */
  | { readonly kind: 'left' };
