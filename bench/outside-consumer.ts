/** A consumer outside of what is measured: notes when each key was first seen as completed. */
import kafkajs, { type KafkaMessage } from 'kafkajs';

export class OutsideConsumer {
  /** Monotonic, by key. */
  readonly seenAtMs = new Map<string, number>();
  private onSeen: () => void = () => undefined;

  private constructor(private readonly stopConsumer: () => Promise<void>) {}

  /** `keyOf`: the key of a completed run; null for every other message. */
  static async open(
    brokers: string,
    topic: string,
    keyOf: (message: KafkaMessage) => string | null,
  ): Promise<OutsideConsumer> {
    const kafka = new kafkajs.Kafka({
      clientId: 'outside',
      brokers: brokers.split(','),
      logLevel: kafkajs.logLevel.NOTHING,
    });
    const consumer = kafka.consumer({ groupId: `outside-${topic}`, maxWaitTimeInMs: 50 });
    const outside = new OutsideConsumer(() => consumer.disconnect());
    const joined = new Promise<void>((resolve) => {
      consumer.on(consumer.events.GROUP_JOIN, () => resolve());
    });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachBatch: ({ batch }) => {
        for (const message of batch.messages) outside.note(keyOf(message));
        return Promise.resolve();
      },
    });
    await joined;
    return outside;
  }

  /** Resolves when every key has been seen; rejects after `withinMs`. */
  async all(keys: readonly string[], withinMs: number): Promise<void> {
    const missing = () => keys.filter((key) => !this.seenAtMs.has(key)).length;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () =>
          reject(new Error(`${missing()} of ${keys.length} runs not completed in ${withinMs} ms`)),
        withinMs,
      );
      let left = missing();
      const look = () => {
        if (left > 0) return;
        clearTimeout(timer);
        resolve();
      };
      this.onSeen = () => {
        left -= 1;
        look();
      };
      look();
    });
  }

  close(): Promise<void> {
    return this.stopConsumer();
  }

  private note(key: string | null): void {
    if (key === null || this.seenAtMs.has(key)) return;
    this.seenAtMs.set(key, performance.now());
    this.onSeen();
  }
}
