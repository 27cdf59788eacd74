/**
 * The explicit admin step: makes the topics of `libs/contracts`. Settings: KAFKA_BROKERS, HOLDFAST_TOPIC_PREFIX,
 * HOLDFAST_TOPIC_COPIES.
 */
import { topicDefinitions } from '#libs/contracts';
import { KafkaConnection, createTopics, silentLog, waitForKafka } from '#libs/messaging';

const { KAFKA_BROKERS: brokers, HOLDFAST_TOPIC_COPIES: copies } = process.env;
if (!brokers) fail('KAFKA_BROKERS is not set; write host:port, several separated by commas');
if (copies !== undefined && !/^[1-9]\d?$/.test(copies))
  fail('HOLDFAST_TOPIC_COPIES takes a whole number from 1: how many brokers keep each topic');
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

const connection = new KafkaConnection({
  brokers: brokers.split(','),
  clientId: 'holdfast.create-topics',
  topicPrefix: process.env.HOLDFAST_TOPIC_PREFIX,
  log: silentLog,
});
await waitForKafka(connection, { signal: stop.signal, onWaiting: (line) => console.log(line) });
const { created, existing } = await createTopics(
  connection,
  topicDefinitions(),
  copies === undefined ? {} : { replicationFactor: Number(copies) },
);
console.log(`topics: made ${created.length}, found ${existing.length}`);

function fail(problem: string): never {
  console.error(problem);
  process.exit(78);
}
