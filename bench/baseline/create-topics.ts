/** The baseline's two topics. Settings: KAFKA_BROKERS. */
import { createTopics, KafkaConnection, silentLog } from '#libs/messaging';

const connection = new KafkaConnection({
  brokers: (process.env.KAFKA_BROKERS ?? '').split(','),
  clientId: 'baseline.create-topics',
  log: silentLog,
});
const retentionMs = 3_600_000;
await createTopics(connection, [
  { name: 'bench.requested', partitions: 12, retentionMs },
  { name: 'bench.completed', partitions: 12, retentionMs },
]);
