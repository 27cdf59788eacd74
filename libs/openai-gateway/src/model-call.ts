/**
 * One model call, as the rest of Holdfast sees it: what is asked, on whose behalf, and what came of it.
 * Nothing here knows OpenAI's wire format, and nothing here carries prompt or output text but the fields named for it.
 */
import type { FailureClass, NanoUsd, RunPriority, ServiceTier, WaitingReason } from '#libs/domain';
import type { BreakerEffect } from './classify/breaker-effect.js';

export interface ModelCallRequest {
  readonly tenant: string;
  /** Where room is scarce, interactive calls go before those of a batch. */
  readonly priority: RunPriority;
  /** The tenant's part where room is scarce, over 0; default 1. */
  readonly weight?: number;
  /** The bare UUID of the run. */
  readonly runId: string;
  /** Position of the step in its workflow, from 0. */
  readonly step: number;
  /** Position of the item inside a `map` step; 0 outside one. */
  readonly item: number;
  /** + 1 for every new call of the same item after one that ended without a result. */
  readonly try: number;
  readonly model: string;
  readonly instructions: string;
  readonly input: string;
  /** Asks for JSON that fits a strict schema; without it the model answers in text. */
  readonly output?: { readonly name: string; readonly schema: object };
  /** At least 16. Counts reasoning tokens too. */
  readonly maxOutputTokens: number;
  /** Default: as the project is set up at OpenAI. */
  readonly serviceTier?: ServiceTier;
  /** At most 64 characters: calls of one key that begin with the same instructions and schema share what OpenAI has cached of them. */
  readonly promptCacheKey?: string;
  /** `background`: OpenAI works on its own, we store the response id and poll. `foreground`: one open request, for short answers. */
  readonly mode: 'background' | 'foreground';
  /** From the moment the call is sent, over every owner that follows it. */
  readonly callTimeoutMs: number;
  /** What becomes of a call whose outcome cannot be known: a person decides, or it is sent again (and may be paid twice). */
  readonly whenUnknown: 'hold' | 'resend';
  /**
   * Whether it is sent on a conversation, which can tell what became of it when its reply is lost. Default: in the background, where the
   * account's endpoint has conversations.
   */
  readonly anchor?: 'on' | 'off';
  readonly budget: CallBudget;
}

/** What a call is paid from, beside the tenant's budget. */
export interface CallBudget {
  readonly workflow: string;
  /** Of its run, over all its calls; null: it has none. */
  readonly runLimit: NanoUsd | null;
  /** How often policy would try it; told beside what the money is for. */
  readonly triesByPolicy: number;
}

/** The claim under which a call is made. A call is sent only while its owner still holds the run. */
export interface CallOwner {
  /** Grows with every claim of the run; the ledger refuses to send under an older one. */
  readonly fence: bigint;
  /** Fires when the owner stops working on the run: shutdown, lease lost, run cancelled. */
  readonly signal: AbortSignal;
  /** By the monotonic clock, with the owner's own safety margin. */
  readonly isLeaseAlive: () => boolean;
  /** Told when what became of the call has to be waited for, and for how long at most; calls what it returns when that is over. */
  readonly onOutcomeUnknown?: (forMs: number) => () => void;
}

export type ModelCallOutcome =
  | CompletedCall
  | FailedCall
  /** The fence is lost: nothing was sent. */
  | { readonly kind: 'not_owner' }
  /** The run is to be cancelled: nothing was sent. */
  | { readonly kind: 'stopped' }
  /** Nothing was sent, and nothing will be for now. */
  | ({ readonly kind: 'parked' } & ParkedCall)
  /** The owner's signal fired. The call stays open in the ledger; the next owner picks it up. */
  | { readonly kind: 'aborted' };

export interface FailedCall {
  readonly kind: 'failed';
  readonly callId: string;
  readonly failure: CallFailure;
  /** It may have been the service's fault, and nobody can tell yet: it should cost its run nothing. Default: it is the call's own. */
  readonly isInDoubt?: boolean;
}

/** The call cannot be sent now, through no fault of its own: its run gives its slot back and keeps its place. */
export interface ParkedCall {
  readonly reason: Extract<WaitingReason, 'outage' | 'throttled' | 'paused'>;
  /** For people, as in "the AI service has refused our account's payment". */
  readonly because: string;
  /** Epoch ms; null where nobody knows. */
  readonly untilMs: number | null;
}

export interface CompletedCall {
  readonly kind: 'completed';
  readonly callId: string;
  readonly output: ModelOutput;
  /** An estimate of ours, where the ledger says so (`usage_estimated`). */
  readonly usage: Usage;
  /** null: the reply was lost, and the output found on the call's anchor. */
  readonly responseId: string | null;
  readonly requestId: string | null;
  /** The dated snapshot that answered (`gpt-5.2-2026-01-15`), not the alias that was asked for, unless nobody has seen the response. */
  readonly model: string;
  /** Taken from the ledger: nothing was paid again. */
  readonly reused: boolean;
}

/** A refusal is a result, delivered as such: it was paid for, and asking again would pay again. */
export type ModelOutput =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'refusal'; readonly text: string };

export interface CallFailure {
  readonly class: FailureClass;
  /** Stable: OpenAI's own error code where it gave one, else ours. */
  readonly code: string;
  readonly httpStatus: number | null;
  readonly requestId: string | null;
  readonly responseId: string | null;
  /** For support. At most 1 KB, and no prompt or output text in it. */
  readonly message: string;
  /** A minimum that OpenAI asked for, not a suggestion. */
  readonly retryAfterMs: number | null;
  readonly paid: 'no' | 'maybe' | 'yes';
  /** What it says about the calls that come after it. */
  readonly breaker: BreakerEffect;
}

export interface Usage {
  readonly inputTokens: number;
  /** Part of `inputTokens`. */
  readonly cachedInputTokens: number;
  /** Part of `inputTokens` too; absent where OpenAI says nothing of it. */
  readonly cacheWriteTokens?: number;
  readonly outputTokens: number;
  /** Part of `outputTokens`. */
  readonly reasoningTokens: number;
  readonly totalTokens: number;
}
