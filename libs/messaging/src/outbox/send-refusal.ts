import kafkajs from 'kafkajs';

/** Broker answers that are about the record itself: the same record will be refused for ever. */
const REFUSALS: ReadonlyMap<number, string> = new Map([
  [10, 'MESSAGE_TOO_LARGE'],
  [17, 'INVALID_TOPIC_EXCEPTION'],
  [18, 'RECORD_LIST_TOO_LARGE'],
  [32, 'INVALID_TIMESTAMP'],
  [87, 'INVALID_RECORD'],
]);

/**
 * Everything else is taken for a fault that passes, a missing topic or missing rights included: those concern every run, heal
 * when the deployment is mended, and stop the relay with an error each round until then.
 */
export function isRefusal(error: unknown): boolean {
  return refusalOf(error) !== null;
}

/** The broker's name for the refusal, for `parked_reason`. */
export function refusalOf(error: unknown): string | null {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof kafkajs.KafkaJSProtocolError) return REFUSALS.get(cause.code) ?? null;
  }
  return null;
}
