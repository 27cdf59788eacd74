/**
 * A consumer as a member of its group: what it commits, how it comes and goes. Real: Kafka, the consumer runtime. Stands in:
 * handlers that are slow on purpose.
 */
import kafkajs from 'kafkajs';
import {
  Consumer,
  type Decoded,
  encodeMessage,
  type RecordHandler,
  TopicMissingError,
} from '#libs/messaging';
import { consumerScene, joined, keyOf, numbered, numberOf } from './consumer-scene.js';
import { aMessage, Collected, eventually, log } from './messaging-stack.js';

const scene = consumerScene({ gap: 1, rebalance: 6, churn: 6, stop: 1, control: 1, crash: 1 });

it('commits up to the first record that is not settled, whatever is settled behind it', async () => {
  const gate = Promise.withResolvers<void>();
  const settled = new Collected<number>();
  await joined(
    scene.consume('gap', async (decoded) => {
      if (numberOf(decoded) === 2) await gate.promise;
      settled.add(numberOf(decoded));
    }),
  );
  await scene.stack.send(
    scene.topicOf('gap'),
    Array.from({ length: 400 }, (_, number) => aMessage(`key-${number}`, { number })),
  );
  await settled.reaches(399);
  const committed = () => scene.stack.committed('group.gap', scene.topicOf('gap'));
  await eventually(committed, ({ 0: offset }) => offset === '2');
  await new Promise((resolve) => setTimeout(resolve, 600)); // two commit rounds
  expect(await committed()).toEqual({ 0: '2' });
  gate.resolve();
  await eventually(committed, ({ 0: offset }) => offset === '400');
});

it('keeps what it has in hand through a rebalance, and loses nothing to the new member', async () => {
  const gate = Promise.withResolvers<void>();
  const [here, there] = [new Collected<string>(), new Collected<string>()];
  const idOf = (decoded: Decoded) => `${keyOf(decoded)}:${numberOf(decoded)}`;
  const first = await joined(
    scene.consume('rebalance', async (decoded) => {
      here.add(idOf(decoded));
      await gate.promise;
    }),
  );
  const before = Array.from({ length: 30 }, (_, index) => numbered(`key-${index}`, 1)).flat();
  await scene.stack.send(scene.topicOf('rebalance'), before);
  await here.reaches(30);
  const second = await joined(
    scene.consume('rebalance', async (decoded) => there.add(idOf(decoded))),
  );
  await eventually(
    () => first.status().partitions.length,
    (count) => count === 3,
  );
  expect(second.status().partitions).toHaveLength(3);
  // Kept partitions: nothing in hand comes a second time. Lost ones: the new member gets all of them, uncommitted as they are.
  const after = Array.from({ length: 30 }, (_, index) => numbered(`key-${index}`, 1, 1)).flat();
  await scene.stack.send(scene.topicOf('rebalance'), after);
  gate.resolve();
  await eventually(
    () => new Set([...here.items, ...there.items]).size,
    (size) => size === 60,
  );
  expect(new Set(here.items).size).toBe(here.items.length);
  await eventually(
    () => scene.stack.committed('group.rebalance', scene.topicOf('rebalance')),
    (offsets) => Object.values(offsets).reduce((sum, offset) => sum + Number(offset), 0) === 60,
  );
});

it('loses no record and keeps the order of each key while members come and go', async () => {
  const KEYS = 12;
  const COUNT = 60;
  const seen = new Map<string, number[]>();
  const handed = new Collected<number>();
  const handler: RecordHandler = async (decoded) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const numbers = seen.get(keyOf(decoded)) ?? [];
    numbers.push(numberOf(decoded));
    seen.set(keyOf(decoded), numbers);
    handed.add(numberOf(decoded));
  };
  await joined(scene.consume('churn', handler));
  const sending = (async () => {
    for (let number = 0; number < COUNT; number += 1) {
      const round = Array.from({ length: KEYS }, (_, key) => aMessage(`key-${key}`, { number }));
      await scene.stack.send(scene.topicOf('churn'), round);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  for (let round = 0; round < 3; round += 1) {
    const guest = await joined(scene.consume('churn', handler));
    await new Promise((resolve) => setTimeout(resolve, 500));
    await guest.stop({ graceMs: 1_000 });
  }
  await sending;
  const complete = () =>
    [...seen.values()].filter((numbers) => new Set(numbers).size === COUNT).length;
  await eventually(complete, (keys) => keys === KEYS);
  for (const numbers of seen.values()) {
    expect([...new Set(numbers)]).toEqual(Array.from({ length: COUNT }, (_, number) => number));
  }
});

it('commits what is settled when it stops, and leaves the rest to the next member', async () => {
  const never = Promise.withResolvers<void>();
  const first = new Collected<number>();
  const stopping = await joined(
    scene.consume('stop', async (decoded) => {
      if (numberOf(decoded) === 3) await never.promise;
      first.add(numberOf(decoded));
    }),
  );
  await scene.stack.send(
    scene.topicOf('stop'),
    Array.from({ length: 5 }, (_, number) => aMessage(`key-${number}`, { number })),
  );
  await first.reaches(4);
  await stopping.stop({ graceMs: 100 });
  expect(await scene.stack.committed('group.stop', scene.topicOf('stop'))).toEqual({ 0: '3' });
  // It left: nobody waits for its session to run out.
  const group = scene.stack.kafka.groupName('group.stop');
  const { groups } = await scene.stack.admin.describeGroups([group]);
  expect(groups[0]?.members).toEqual([]);
  const second = new Collected<number>();
  await joined(scene.consume('stop', async (decoded) => second.add(numberOf(decoded))));
  await second.reaches(2);
  expect(second.items).toEqual([3, 4]);
  never.resolve();
});

it('commits past the control records of a transaction, so that no lag stays', async () => {
  const settled = new Collected<number>();
  const consumer = await joined(
    scene.consume('control', async (decoded) => settled.add(numberOf(decoded))),
  );
  const producer = scene.stack.kafka.newClient().producer({
    transactionalId: `${scene.stack.kafka.topicPrefix}spec`,
    maxInFlightRequests: 1,
    idempotent: true,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  const transaction = await producer.transaction();
  await transaction.send({
    topic: scene.stack.kafka.topicName(scene.topicOf('control')),
    messages: numbered('run-1', 2).map(encodeMessage),
  });
  await transaction.commit();
  await producer.disconnect();
  await settled.reaches(2);
  await eventually(
    () => scene.stack.committed('group.control', scene.topicOf('control')),
    ({ 0: offset }) => offset === '3',
  );
  expect(consumer.status().partitions[0]?.lag).toBe(0);
});

it('says that it is dead when the group refuses it for good', async () => {
  const stranger = scene.stack.kafka.newClient().consumer({
    groupId: scene.stack.kafka.groupName('group.crash'),
    maxWaitTimeInMs: 100,
    partitionAssigners: [
      (config) => ({
        ...kafkajs.PartitionAssigners.roundRobin(config),
        name: 'strange',
        version: 1,
        protocol: ({ topics }) => ({
          name: 'strange',
          metadata: kafkajs.AssignerProtocol.MemberMetadata.encode({
            version: 1,
            topics,
            userData: Buffer.alloc(0),
          }),
        }),
      }),
    ],
  });
  await stranger.connect();
  await stranger.subscribe({ topics: [scene.stack.kafka.topicName(scene.topicOf('crash'))] });
  const strangerJoined = Promise.withResolvers<void>();
  stranger.on(stranger.events.GROUP_JOIN, () => strangerJoined.resolve());
  await stranger.run({ eachMessage: async () => undefined });
  await strangerJoined.promise;
  const crashed = Promise.withResolvers<Error>();
  const consumer = scene.consume('crash', async () => undefined, { onCrash: crashed.resolve });
  await consumer.start();
  await expect(consumer.joined).rejects.toThrow(/protocol/i);
  expect((await crashed.promise).message).toMatch(/protocol/i);
  await stranger.disconnect();
});

it('names a topic that does not exist instead of making it', async () => {
  const consumer = new Consumer({
    kafka: scene.stack.kafka,
    groupId: 'group.missing',
    topics: ['spec.missing.v1'],
    handler: async () => undefined,
    log,
    onCrash: () => undefined,
  });
  await expect(consumer.start()).rejects.toBeInstanceOf(TopicMissingError);
  expect(await scene.stack.admin.listTopics()).not.toContain(
    scene.stack.kafka.topicName('spec.missing.v1'),
  );
});
