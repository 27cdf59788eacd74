/** What is wrong with a consumer or a relay, in words for whoever runs the process; null where nothing is. Pure. */
import type { ConsumerStatus } from './consumer/consumer-options.js';
import type { RelayStatus } from './outbox/outbox-relay.js';

/** Kafka answers a fetch every 500 ms, whether there is something or not. */
const SILENT_AFTER_MS = 5_000;
/** A row is on Kafka within milliseconds where all is well. */
const LATE_AFTER_MS = 10_000;

export function consumerProblem(status: ConsumerStatus | null): string | null {
  if (!status || status.assignmentEpoch === 0) return 'no assignment yet: nothing is consumed';
  if (!status.joined) return 'has left its group: nothing is consumed';
  const { silentMs } = status;
  if (silentMs > SILENT_AFTER_MS)
    return `Kafka has not answered for ${seconds(silentMs)}: nothing new comes in`;
  return null;
}

/** @param oldestMs how long the oldest message waits */
export function outboxProblem(status: RelayStatus, oldestMs: number): string | null {
  if (status.failure !== null)
    return `messages are not published, the oldest for ${seconds(oldestMs)}: ${status.failure}`;
  if (oldestMs > LATE_AFTER_MS)
    return `the oldest message has waited ${seconds(oldestMs)}: no relay publishes, or Kafka is slow`;
  return null;
}

export function lagOf(status: ConsumerStatus | null): number {
  return (status?.partitions ?? []).reduce((sum, { lag }) => sum + (lag ?? 0), 0);
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}
