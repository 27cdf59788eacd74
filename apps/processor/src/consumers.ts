/** Injection tokens of the two Kafka consumers: admit-runs makes them, drain and health look at them. */

/** Group `holdfast.processor.admit-runs`. */
export const WORK_CONSUMER = Symbol('WorkConsumer');
/** Group `holdfast.processor.admit-runs.retry`. */
export const RETRY_CONSUMER = Symbol('RetryConsumer');
