/** Headers of work messages, on the requested topic, its retry tiers and its dead-letter topic. */
export const workHeaders = {
  /** Counts the messages that may start work on a run: what tells a redelivered one from the one that is due. */
  dispatch: 'x-holdfast-dispatch',
  /** Counts the tiers that one dispatch has passed through. */
  hop: 'x-holdfast-hop',
  /** Whose run it is and what carries it, on requests: for whoever cannot read the body. */
  tenant: 'x-holdfast-tenant',
  workflow: 'x-holdfast-workflow',
  workflowVersion: 'x-holdfast-workflow-version',
  attempt: 'x-holdfast-attempt',
  maxAttempts: 'x-holdfast-max-attempts',
  notBefore: 'x-holdfast-not-before',
  firstFailedAt: 'x-holdfast-first-failed-at',
  originalTopic: 'x-holdfast-original-topic',
  originalPartition: 'x-holdfast-original-partition',
  originalOffset: 'x-holdfast-original-offset',
  originalTimestamp: 'x-holdfast-original-timestamp',
  errorClass: 'x-holdfast-error-class',
  errorCode: 'x-holdfast-error-code',
  errorMessage: 'x-holdfast-error-message',
  errorHttpStatus: 'x-holdfast-error-http-status',
  /** OpenAI's ids, so that support can ask for the call. */
  errorRequestId: 'x-holdfast-error-request-id',
  errorResponseId: 'x-holdfast-error-response-id',
  /** The same for failures of one cause. */
  errorFingerprint: 'x-holdfast-error-fingerprint',
  /** The process that held the run when it stopped; on dead letters. */
  worker: 'x-holdfast-worker',
} as const;

/** Spring Kafka's names, so that existing tools show our dead letters. */
export const springDeadLetterHeaders = {
  originalTopic: 'kafka_dlt-original-topic',
  originalPartition: 'kafka_dlt-original-partition',
  originalOffset: 'kafka_dlt-original-offset',
  exceptionClass: 'kafka_dlt-exception-fqcn',
  exceptionMessage: 'kafka_dlt-exception-message',
} as const;

export interface WorkPosition {
  readonly dispatch: number;
  readonly hop: number;
  /** Epoch ms before which the work must not start; null: at once. */
  readonly notBeforeMs: number | null;
}

export type ParsedWorkPosition =
  | { readonly kind: 'parsed'; readonly position: WorkPosition }
  | { readonly kind: 'invalid'; readonly reason: string };

/** Reads the counters of a work message. */
export function parseWorkPosition(headers: Readonly<Record<string, string>>): ParsedWorkPosition {
  const dispatch = wholeNumber(headers[workHeaders.dispatch]);
  if (dispatch === null || dispatch < 1) {
    return {
      kind: 'invalid',
      reason: `header ${workHeaders.dispatch} must be a whole number from 1`,
    };
  }
  const hop = wholeNumber(headers[workHeaders.hop] ?? '0');
  if (hop === null) {
    return { kind: 'invalid', reason: `header ${workHeaders.hop} must be a whole number from 0` };
  }
  const notBefore = headers[workHeaders.notBefore];
  const notBeforeMs = notBefore === undefined ? null : wholeNumber(notBefore);
  if (notBefore !== undefined && notBeforeMs === null) {
    return {
      kind: 'invalid',
      reason: `header ${workHeaders.notBefore} must be epoch milliseconds`,
    };
  }
  return { kind: 'parsed', position: { dispatch, hop, notBeforeMs } };
}

function wholeNumber(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
}
