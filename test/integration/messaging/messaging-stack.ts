/**
 * What the specs of libs/messaging stand on. Real: Postgres (a database per file) and Kafka (a topic prefix per file).
 * Stands in: nothing.
 */
import kafkajs, { type Producer } from 'kafkajs';
import { Database, uuidv7 } from '#libs/postgres';
import type { FieldLog } from '#libs/process';
import {
  createTopics,
  encodeMessage,
  KafkaConnection,
  type Message,
  Outbox,
  outboxTableSql,
  silentLog,
  type TopicSpec,
} from '#libs/messaging';
import { patienceMs } from '../../support/patience.js';
import { freshDatabase, freshTopicPrefix, kafkaBrokers } from '../../support/stack.js';

export const SCHEMA = 'processor';
export const HOUR_MS = 3_600_000;
export const log: FieldLog =
  process.env.SPEC_LOG === '1'
    ? {
        ...silentLog,
        debug: say('debug'),
        info: say('info'),
        warn: say('warn'),
        error: say('error'),
      }
    : silentLog;

function say(level: string) {
  return (fields: object, message: string) => {
    process.stderr.write(`${level} ${message} ${JSON.stringify(fields)}\n`);
  };
}

export function topicSpec(
  name: string,
  partitions = 3,
  config: Record<string, string> = {},
): TopicSpec {
  return { name, partitions, retentionMs: HOUR_MS, config };
}

export function aMessage(key: string, data: unknown = {}, more: Partial<Message> = {}): Message {
  return {
    id: uuidv7(),
    source: '/spec',
    type: 'dev.holdfast.spec.happened.v1',
    subject: key,
    time: new Date(),
    key,
    data,
    ...more,
  };
}

/** Kafka alone: connection with a prefix of its own, topics, and a producer for whatever a stranger might send. */
export async function kafkaStack(specs: readonly TopicSpec[]) {
  const kafka = new KafkaConnection({
    brokers: kafkaBrokers(),
    clientId: 'spec',
    topicPrefix: freshTopicPrefix(),
    log,
  });
  await createTopics(kafka, specs);
  const client = kafka.newClient();
  const producer: Producer = client.producer({
    allowAutoTopicCreation: false,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  const admin = client.admin();
  await admin.connect();
  return {
    kafka,
    admin,
    producer,
    async send(topic: string, messages: readonly Message[], partition?: number): Promise<void> {
      await producer.send({
        topic: kafka.topicName(topic),
        messages: messages.map((message) => ({
          ...encodeMessage(message),
          ...(partition === undefined ? {} : { partition }),
        })),
      });
    },
    /** What a group has committed, by partition; partitions without a commit are left out. */
    async committed(groupId: string, topic: string): Promise<Record<number, string>> {
      const [offsets] = await admin.fetchOffsets({
        groupId: kafka.groupName(groupId),
        topics: [kafka.topicName(topic)],
      });
      return Object.fromEntries(
        (offsets?.partitions ?? [])
          .filter(({ offset }) => offset !== '-1')
          .map(({ partition, offset }) => [partition, offset]),
      );
    },
    async close(): Promise<void> {
      await admin.disconnect();
      await producer.disconnect();
    },
  };
}

/** A database with an outbox. */
export async function outboxStack() {
  const fresh = await freshDatabase();
  const database = new Database({ url: fresh.url, applicationName: 'spec' });
  await database.query(`CREATE SCHEMA ${SCHEMA}`);
  await database.query(outboxTableSql(SCHEMA));
  return {
    url: fresh.url,
    database,
    outbox: new Outbox({ schema: SCHEMA, source: '/spec/outbox' }),
    rows: async (): Promise<number> => {
      const { rows } = await database.query<{ count: bigint }>(
        `SELECT count(*) FROM ${SCHEMA}.outbox`,
      );
      return Number(rows[0]?.count ?? -1n);
    },
    async close(): Promise<void> {
      await database.close();
      await fresh.drop();
    },
  };
}

/** Collects what happens, and lets a spec wait for the n-th of it. */
export class Collected<Item> {
  readonly items: Item[] = [];
  private waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  add(item: Item): void {
    this.items.push(item);
    this.waiting = this.waiting.filter(({ count, resolve }) => {
      if (this.items.length < count) return true;
      resolve();
      return false;
    });
  }

  async reaches(count: number, withinMs = patienceMs): Promise<Item[]> {
    if (this.items.length < count) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const timer = setTimeout(() => {
        reject(new Error(`only ${this.items.length} of ${count} within ${withinMs} ms`));
      }, withinMs);
      this.waiting.push({ count, resolve });
      await promise.finally(() => clearTimeout(timer));
    }
    return this.items;
  }
}

/** For what has no signal: another process's commit, a broker's state. */
export async function eventually<T>(
  look: () => Promise<T> | T,
  good: (found: T) => boolean,
  withinMs = patienceMs,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (good(found)) return found;
    if (performance.now() > deadline)
      throw new Error(`not within ${withinMs} ms; last: ${JSON.stringify(found)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
