/** Messages over Kafka: envelope, outbox and relay, topics, consumers. Knows messages, not runs; hides kafkajs. */
export { silentLog } from '#libs/process';
export {
  type Decoded,
  type DecodedMessage,
  MAX_MESSAGE_BYTES,
  type Message,
  MessageInvalidError,
  type ReceivedMessage,
  type RecordPosition,
  type UndecodableCode,
  type UndecodableRecord,
} from './envelope/message.js';
export { type EncodedMessage, encodeMessage } from './envelope/encode-message.js';
export { decodeRecord, type RawRecord } from './envelope/decode-record.js';
export { KafkaConnection, type KafkaConnectionOptions } from './kafka/kafka-connection.js';
export { KafkaClientInternalsMovedError } from './kafka/timer-guard.js';
export { waitForKafka } from './kafka/wait-for-kafka.js';
export {
  createTopics,
  TopicDiffersError,
  TopicLeaderMissingError,
  type TopicSpec,
} from './kafka/topics.js';
export {
  Outbox,
  type OutboxMessage,
  OutboxMessageTooLargeError,
  type OutboxOptions,
} from './outbox/outbox.store.js';
export { outboxTableSql } from './outbox/outbox-tables.js';
export { parkedRemover } from './outbox/remove-parked.js';
export {
  OutboxRelay,
  type OutboxRelayOptions,
  RelayReplacedError,
  type RelaySignals,
  type RelayStatus,
} from './outbox/outbox-relay.js';
export type { OutboxBacklog, OutboxRow } from './outbox/relay.store.js';
export type {
  ConsumerOptions,
  ConsumerStatus,
  PartitionStatus,
  RecordHandler,
} from './consumer/consumer-options.js';
export { Consumer } from './consumer/consumer.js';
export { ConsumerStoppedError } from './consumer/consumer-runtime.js';
export { TopicMissingError } from './consumer/group-member.js';
export {
  DelayedConsumer,
  type DelayedConsumerOptions,
  type DelayTier,
} from './consumer/delayed-consumer.js';
export {
  HandlerFailedError,
  type KafkaTransportOptions,
  KafkaTransportStrategy,
  TopicHandlerError,
} from './nest/kafka-transport-strategy.js';
export { KafkaRecordContext } from './nest/kafka-record-context.js';
export { KeepCauseFilter } from './nest/keep-cause.filter.js';
export { connectKafkaTransport } from './nest/connect-kafka-transport.js';
export { consumerProblem, lagOf, outboxProblem } from './messaging-health.js';
export { reportConsumers, reportRelay } from './report-metrics.js';
export { watchOutbox } from './watch-outbox.js';
