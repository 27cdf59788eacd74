/** What the relay and the consumers of a process tell at a scrape. All of it is kept anyhow, but for the backlog. */
import { atMostEvery, type PrometheusMetrics } from '#libs/metrics';
import type { ConsumerStatus } from './consumer/consumer-options.js';
import type { OutboxRelay } from './outbox/outbox-relay.js';

const COUNT_BACKLOG_EVERY_MS = 10_000;

export function reportRelay(metrics: PrometheusMetrics, relay: OutboxRelay): void {
  const backlog = atMostEvery(COUNT_BACKLOG_EVERY_MS, () => relay.backlog());
  metrics.readFrom(
    'outbox',
    [
      'holdfast_outbox_waiting_rows',
      'holdfast_outbox_parked_rows',
      'holdfast_outbox_oldest_row_seconds',
    ],
    async () => {
      const { pending, parked, oldestMs } = await backlog();
      return {
        holdfast_outbox_waiting_rows: one(pending),
        holdfast_outbox_parked_rows: one(parked),
        holdfast_outbox_oldest_row_seconds: one(oldestMs / 1_000),
      };
    },
  );
  metrics.readFrom(
    'relay',
    ['holdfast_outbox_published_rows_total', 'holdfast_relay_leading'],
    () => {
      const { published, leading } = relay.status();
      return {
        holdfast_outbox_published_rows_total: one(published),
        holdfast_relay_leading: one(leading ? 1 : 0),
      };
    },
  );
}

/** By group. */
export type Consumers = Readonly<Record<string, { consumerStatus(): ConsumerStatus | null }>>;

export function reportConsumers(metrics: PrometheusMetrics, consumers: Consumers): void {
  metrics.readFrom(
    'consumers',
    [
      'holdfast_consumer_joined',
      'holdfast_consumer_lag_records',
      'holdfast_consumer_buffered_records',
      'holdfast_consumer_paused_partitions',
      'holdfast_consumer_undecodable_total',
      'holdfast_consumer_faults_total',
    ],
    () => {
      const samples = (valueOf: (status: ConsumerStatus) => number) =>
        Object.entries(consumers).map(([group, consumer]) => {
          const status = consumer.consumerStatus();
          return { labels: { group }, value: status ? valueOf(status) : 0 };
        });
      return {
        holdfast_consumer_joined: samples(({ joined }) => (joined ? 1 : 0)),
        holdfast_consumer_lag_records: samples(({ partitions }) => sumOf(partitions, 'lag')),
        holdfast_consumer_buffered_records: samples(({ partitions }) =>
          sumOf(partitions, 'unsettled'),
        ),
        holdfast_consumer_paused_partitions: samples(
          ({ partitions }) => partitions.filter(({ paused }) => paused).length,
        ),
        holdfast_consumer_undecodable_total: samples(({ undecodable }) => undecodable),
        holdfast_consumer_faults_total: samples(({ faults }) => faults),
      };
    },
  );
}

const one = (value: number) => [{ labels: {}, value }];

function sumOf<Field extends 'lag' | 'unsettled'>(
  partitions: readonly { readonly [Each in Field]: number | null }[],
  field: Field,
): number {
  return partitions.reduce((sum, partition) => sum + (partition[field] ?? 0), 0);
}
