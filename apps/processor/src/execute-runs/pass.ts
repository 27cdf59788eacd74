import type { CallFailure } from '#libs/openai-gateway';
import type { FailureClass } from '#libs/domain';
import type { AbortReason } from './keeper.js';

/** How one pass over the steps of a run ended. */
export type Pass =
  | { readonly kind: 'finished'; readonly result: FinishedResult }
  | { readonly kind: 'failed'; readonly failures: readonly [ItemFailure, ...ItemFailure[]] }
  | { readonly kind: 'aborted'; readonly reason: AbortReason };

export interface FinishedResult {
  readonly ref: string;
  readonly inline: Record<string, unknown> | null;
}

/** One call, or our own code, that did not succeed. */
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
}

export function itemFailureOf(
  failure: CallFailure,
  step: string,
  item: number | null,
): ItemFailure {
  const { class: failureClass, code, httpStatus, requestId, responseId } = failure;
  const { message, retryAfterMs } = failure;
  const ids = { httpStatus, requestId, responseId };
  return { class: failureClass, code, ...ids, message, retryAfterMs, step, item };
}
