/**
 * Somebody outside Holdfast who reads all its topics from the beginning, each record as it lies in the log, and may put records
 * there. Real Kafka, plain kafkajs; of Holdfast it takes only the names of topics and groups.
 */
import kafkajs, { type Admin, type Consumer, type IHeaders, type Producer } from 'kafkajs';
import { consumerGroups, retryTopics, topics } from '#libs/contracts';
import { KafkaConnection, silentLog } from '#libs/messaging';
import { eventually } from './eventually.js';
import { patienceMs } from './patience.js';
import { kafkaBrokers } from './stack.js';

/** A record as it lies in the log. `topic` is the logical name. */
export interface SeenRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: IHeaders;
}

export type NewRecord = Omit<SeenRecord, 'offset'> & {
  /** Epoch ms; counts only where senders stamp. Default: now. */
  readonly timestamp?: string;
};

const retries = retryTopics.map(({ topic }) => topic);
const allTopics: readonly string[] = [...Object.values(topics), ...retries];
/** What Holdfast's own consumer groups read. */
const topicsOfGroup: Readonly<Record<string, readonly string[]>> = {
  [consumerGroups.submitRuns]: [topics.runCommands],
  [consumerGroups.admitRuns]: [topics.runRequested],
  [consumerGroups.admitRetries]: retries,
  [consumerGroups.projectRuns]: [topics.runEvents],
};

export class TopicWatch {
  readonly seen: SeenRecord[] = [];
  private readonly reached = new Map<string, bigint>();

  private constructor(
    private readonly kafka: KafkaConnection,
    private readonly admin: Admin,
    private readonly consumer: Consumer,
    private readonly producer: Producer,
  ) {}

  static async open(topicPrefix: string): Promise<TopicWatch> {
    const kafka = new KafkaConnection({
      ...{ brokers: kafkaBrokers(), clientId: 'outside', topicPrefix, log: silentLog },
    });
    const client = kafka.newClient();
    const watch = new TopicWatch(
      kafka,
      client.admin(),
      client.consumer({ groupId: `${topicPrefix}outside`, maxWaitTimeInMs: 250 }),
      client.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner }),
    );
    await watch.start();
    return watch;
  }

  /** Records of one run by their key, in the order in which they were read. */
  of(topic: string, runId: string): SeenRecord[] {
    return this.seen.filter((each) => each.topic === topic && each.key?.toString() === runId);
  }

  /** The first record, past or future, that fits. */
  async first(
    what: string,
    fits: (record: SeenRecord) => boolean,
    withinMs?: number,
  ): Promise<SeenRecord> {
    return eventually(what, () => this.seen.find(fits), withinMs);
  }

  /** Resolves when everything has been read that is on the topics now. */
  async upToDate(withinMs?: number): Promise<void> {
    const ends = await this.ends(allTopics);
    const missing = () => [...ends].filter(([place, end]) => (this.reached.get(place) ?? 0n) < end);
    const isAtEnd = () => missing().length === 0;
    await eventually('the outside reader is at the end', isAtEnd, withinMs);
  }

  async send(records: readonly NewRecord[]): Promise<void> {
    const byTopic = Map.groupBy(records, ({ topic }) => topic);
    await this.producer.sendBatch({
      acks: -1,
      topicMessages: [...byTopic].map(([topic, batch]) => ({
        topic: this.kafka.topicName(topic),
        messages: batch.map(({ partition, key, value, headers, timestamp }) => {
          return { partition, key, value, headers, ...(timestamp && { timestamp }) };
        }),
      })),
    });
  }

  /** From now on these topics take the time that senders give, instead of the broker's. */
  async letSendersStamp(ofTopics: readonly string[]): Promise<void> {
    const configEntries = [{ name: 'message.timestamp.type', value: 'CreateTime' }];
    const resources = ofTopics.map((topic) => ({
      ...{ type: kafkajs.ConfigResourceTypes.TOPIC, name: this.kafka.topicName(topic) },
      configEntries,
    }));
    await this.admin.alterConfigs({ validateOnly: false, resources });
  }

  /** Resolves when Holdfast's own consumers have settled and committed everything that is on their topics now. */
  async settledByAll(): Promise<void> {
    for (const group of Object.keys(topicsOfGroup)) await this.settledBy(group);
  }

  async settledBy(group: string, withinMs = patienceMs): Promise<void> {
    const ofTopics = topicsOfGroup[group] ?? [];
    const ends = [...(await this.ends(ofTopics))].filter(([, end]) => end > 0n);
    const isSettled = async () => {
      const committed = await this.committed(group, ofTopics);
      return ends.every(([place, end]) => (committed.get(place) ?? 0n) >= end);
    };
    await eventually(`group ${group} has committed all of its topics`, isSettled, withinMs);
  }

  /** The position that Holdfast's group has committed, by "topic/partition". */
  async committed(group: string, ofTopics: readonly string[]): Promise<Map<string, bigint>> {
    const answer = await this.admin.fetchOffsets({
      groupId: this.kafka.groupName(group),
      topics: ofTopics.map((topic) => this.kafka.topicName(topic)),
    });
    return new Map(
      answer.flatMap(({ topic, partitions }) =>
        partitions.map(({ partition, offset }): [string, bigint] => [
          placeOf(this.kafka.logicalTopic(topic), partition),
          BigInt(offset),
        ]),
      ),
    );
  }

  /** How many members Holdfast's group has. */
  async membersOf(group: string): Promise<number> {
    const { groups } = await this.admin.describeGroups([this.kafka.groupName(group)]);
    return groups[0]?.members.length ?? 0;
  }

  async close(): Promise<void> {
    await Promise.all([
      this.consumer.disconnect(),
      this.producer.disconnect(),
      this.admin.disconnect(),
    ]);
  }

  private async start(): Promise<void> {
    await Promise.all([this.admin.connect(), this.producer.connect(), this.consumer.connect()]);
    await this.consumer.subscribe({
      topics: allTopics.map((topic) => this.kafka.topicName(topic)),
      fromBeginning: true,
    });
    await this.consumer.run({
      eachMessage: async ({ topic: name, partition, message }) => {
        const topic = this.kafka.logicalTopic(name);
        const { offset, key, value, headers = {} } = message;
        this.seen.push({ topic, partition, offset, key, value, headers });
        this.reached.set(placeOf(topic, partition), BigInt(offset) + 1n);
      },
    });
  }

  private async ends(ofTopics: readonly string[]): Promise<Map<string, bigint>> {
    const ends = new Map<string, bigint>();
    for (const topic of ofTopics)
      for (const { partition, high } of await this.admin.fetchTopicOffsets(
        this.kafka.topicName(topic),
      ))
        ends.set(placeOf(topic, partition), BigInt(high));
    return ends;
  }
}

export function placeOf(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}

/** A header's text; undefined where there is none. */
export function headerOf(record: SeenRecord, name: string): string | undefined {
  return record.headers[name]?.toString();
}

export function headersOf(record: SeenRecord): Record<string, string> {
  return Object.fromEntries(
    Object.entries(record.headers).map(([name, value]) => [name, String(value)]),
  );
}
