import type { RetryWaitReason, RunFailure, RunProgress } from '#libs/domain';
import type { ParkedCall } from '#libs/openai-gateway';

/** What the owner of a run has to write down: how it goes on, or how it ended. */
export type Outcome =
  | {
      readonly kind: 'progressed';
      readonly progress: RunProgress;
      /** For how long at most calls of unknown outcome are waited for; null: there are none. */
      readonly unknownForMs: number | null;
    }
  | (ShortWait & { readonly progress: RunProgress })
  | FinalOutcome;

/** A wait in the process, under the lease. */
export interface ShortWait {
  readonly kind: 'wait_here';
  readonly delayMs: number;
  readonly attempt: number;
  readonly reason: RetryWaitReason;
  readonly failure: RunFailure;
}

/** The run leaves its owner's hands. */
export type FinalOutcome =
  | {
      readonly kind: 'retry_later';
      readonly delayMs: number;
      readonly attempt: number;
      readonly reason: RetryWaitReason;
      readonly failure: RunFailure;
    }
  | {
      readonly kind: 'completed';
      readonly result: {
        readonly ref: string;
        /** Where it is small enough to travel in the event. */
        readonly inline: Record<string, unknown> | null;
      };
    }
  | { readonly kind: 'needs_review'; readonly failure: RunFailure }
  | { readonly kind: 'failed'; readonly failure: RunFailure }
  /** On request; its calls are closed. */
  | { readonly kind: 'cancelled' }
  | ParkedRun
  /** Given back unfinished: shutdown. The attempt is not used up. */
  | { readonly kind: 'released' };

/** Given back because its next call cannot be sent for now: it keeps its place, and waits with the lane of that call. */
export interface ParkedRun {
  readonly kind: 'parked';
  readonly reason: ParkedCall['reason'];
  readonly because: string;
  /** null: until its lane takes calls again. */
  readonly delayMs: number | null;
  /** Those that an outage used up are given back. */
  readonly attempt: number;
  /** Of the call. */
  readonly model: string;
}
