/** Consumers of one spec file on real Kafka: a topic for each spec, and a group named after it; stopped after each spec. */
import { Consumer, type ConsumerOptions, type Decoded, type RecordHandler } from '#libs/messaging';
import { aMessage, kafkaStack, log, topicSpec } from './messaging-stack.js';

/** @param partitions of the topic of each spec */
export function consumerScene<Name extends string>(partitions: Readonly<Record<Name, number>>) {
  let stack: Awaited<ReturnType<typeof kafkaStack>> | undefined;
  const consumers: Consumer[] = [];
  const topicOf = (name: Name) => `spec.${name}.v1`;

  beforeAll(async () => {
    const names = Object.keys(partitions) as Name[];
    stack = await kafkaStack(names.map((name) => topicSpec(topicOf(name), partitions[name])));
  });
  afterEach(() =>
    Promise.all(consumers.splice(0).map((consumer) => consumer.stop({ graceMs: 1_000 }))),
  );
  afterAll(() => stack?.close());

  const scene = {
    topicOf,
    get stack() {
      if (!stack) throw new Error('Kafka is there from beforeAll on');
      return stack;
    },
    consume(name: Name, handler: RecordHandler, more: Partial<ConsumerOptions> = {}): Consumer {
      const consumer = new Consumer({
        kafka: scene.stack.kafka,
        groupId: `group.${name}`,
        topics: [topicOf(name)],
        handler,
        log,
        onCrash: (error) => {
          throw error;
        },
        ...more,
      });
      consumers.push(consumer);
      return consumer;
    },
  };
  return scene;
}

export async function joined(consumer: Consumer): Promise<Consumer> {
  await consumer.start();
  await consumer.joined;
  return consumer;
}

export function numberOf(decoded: Decoded): number {
  if (decoded.kind !== 'message') throw new Error(decoded.problem.reason);
  return (decoded.message.data as { number: number }).number;
}

export const keyOf = (decoded: Decoded) => (decoded.kind === 'message' ? decoded.message.key : '');

export const numbered = (key: string, count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => aMessage(key, { number: from + index }));
