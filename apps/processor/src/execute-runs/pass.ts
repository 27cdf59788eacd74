import type { FailedCall, ParkedCall } from '#libs/openai-gateway';
import type { FailureClass } from '#libs/domain';
import { WorkAbortedError, type AbortReason, type Lease } from './keeper.js';

/** How one pass over the steps of a run ended. */
export type Pass =
  | { readonly kind: 'finished'; readonly result: FinishedResult }
  | { readonly kind: 'failed'; readonly failures: readonly [ItemFailure, ...ItemFailure[]] }
  | ParkedPass
  | { readonly kind: 'aborted'; readonly reason: AbortReason };

/** A call of it cannot be sent for now. */
export interface ParkedPass {
  readonly kind: 'parked';
  readonly parked: ParkedCall;
  /** Of the call. */
  readonly model: string;
  /** Of other items. */
  readonly failures: readonly ItemFailure[];
}

/** How one step ended. */
export type StepPass = Exclude<Pass, { kind: 'finished' }> | { readonly kind: 'step_done' };

export function abortedBy(lease: Lease): Extract<Pass, { kind: 'aborted' }> {
  const cause: unknown = lease.signal.reason;
  const reason = cause instanceof WorkAbortedError ? cause.reason : 'lease_lost';
  return { kind: 'aborted', reason };
}

export interface FinishedResult {
  readonly ref: string;
  readonly inline: Record<string, unknown> | null;
}

/** One call or delivery, or our own code, that did not succeed. */
export interface ItemFailure {
  readonly class: FailureClass;
  readonly code: string;
  readonly httpStatus: number | null;
  readonly requestId: string | null;
  readonly responseId: string | null;
  readonly message: string;
  readonly retryAfterMs: number | null;
  /** Name of the step; null where no step ran. */
  readonly step: string | null;
  /** null outside `map`. */
  readonly item: number | null;
  /** It may have been the service's fault, and uses no attempt. Default: it is the item's own. */
  readonly isInDoubt?: boolean;
}

export function itemFailureOf(
  { failure, isInDoubt = false }: Pick<FailedCall, 'failure' | 'isInDoubt'>,
  step: string,
  item: number | null,
): ItemFailure {
  const { class: failureClass, code, httpStatus, requestId, responseId } = failure;
  const { message, retryAfterMs } = failure;
  const ids = { httpStatus, requestId, responseId };
  return { class: failureClass, code, ...ids, message, retryAfterMs, step, item, isInDoubt };
}
