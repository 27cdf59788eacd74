/** The explicit admin step: makes the topics of `libs/contracts`. Settings: KAFKA_BROKERS, HOLDFAST_TOPIC_PREFIX. */
import { topicDefinitions } from '#libs/contracts';
import { KafkaConnection, createTopics, silentLog, waitForKafka } from '#libs/messaging';

const brokers = process.env.KAFKA_BROKERS;
if (!brokers) {
  console.error('KAFKA_BROKERS is not set; write host:port, several separated by commas');
  process.exit(78);
}
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

const connection = new KafkaConnection({
  brokers: brokers.split(','),
  clientId: 'holdfast.create-topics',
  topicPrefix: process.env.HOLDFAST_TOPIC_PREFIX,
  log: silentLog,
});
await waitForKafka(connection, { signal: stop.signal, onWaiting: (line) => console.log(line) });
const { created, existing } = await createTopics(connection, topicDefinitions());
console.log(`topics: made ${created.length}, found ${existing.length}`);
