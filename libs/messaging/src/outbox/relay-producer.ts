import kafkajs, { type Message as KafkaMessage, type Producer } from 'kafkajs';
import { ClientSockets } from '../kafka/client-sockets.js';
import type { KafkaConnection } from '../kafka/kafka-connection.js';
import { openSendSpans } from './send-spans.js';
import type { OutboxRow } from './relay.store.js';

/** Under the relay's lease: a request that takes longer would be acknowledged to a leader that has been replaced. */
const REQUEST_TIMEOUT_MS = 2_000;
const CONNECTION_TIMEOUT_MS = 1_000;

/**
 * The relay's own producer. Retries are off on the client, not only on the producer (kafkajs would keep those of connection
 * and metadata): repeating is the relay's job, from the oldest row on. After any failure the client is thrown away, and with
 * it a socket that may still carry the old request and metadata that may be stale. Not idempotent: kafkajs' idempotent
 * producer is unsafe, and consumers drop repeats.
 */
export class RelayProducer {
  private producer: Producer | null = null;
  private sockets = new ClientSockets();

  constructor(private readonly kafka: KafkaConnection) {}

  /** One request per broker; resolves when all replicas in sync have every row. Call it again only after it has settled. */
  async send(rows: readonly OutboxRow[]): Promise<void> {
    const spans = openSendSpans(rows);
    try {
      this.producer ??= await this.connect();
      await this.producer.sendBatch({
        acks: -1,
        timeout: REQUEST_TIMEOUT_MS,
        topicMessages: this.byTopic(rows),
      });
      spans.sent();
    } catch (error) {
      spans.failed(error);
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const { producer } = this;
    this.producer = null;
    this.sockets.destroy(); // First, or it would wait for answers.
    await producer?.disconnect().catch(() => undefined); // Nobody needs it any more.
  }

  private async connect(): Promise<Producer> {
    this.sockets = new ClientSockets();
    const client = this.kafka.newClient(
      {
        retry: { retries: 0 },
        requestTimeout: REQUEST_TIMEOUT_MS,
        connectionTimeout: CONNECTION_TIMEOUT_MS,
      },
      this.sockets,
    );
    const producer = client.producer({
      idempotent: false,
      allowAutoTopicCreation: false,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    return producer;
  }

  private byTopic(rows: readonly OutboxRow[]): { topic: string; messages: KafkaMessage[] }[] {
    const topics = new Map<string, KafkaMessage[]>();
    for (const { topic, key, headers, body } of rows) {
      const message = {
        key,
        value: body,
        headers: JSON.parse(headers.toString('utf8')) as Record<string, string>,
      };
      const messages = topics.get(topic);
      if (messages) messages.push(message);
      else topics.set(topic, [message]);
    }
    return [...topics].map(([topic, messages]) => ({
      topic: this.kafka.topicName(topic),
      messages,
    }));
  }
}
