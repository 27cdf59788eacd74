/** Real: Kafka, the consumer runtime. Stands in: handlers that are slow, or fail, on purpose. */
import kafkajs from 'kafkajs';
import {
  Consumer,
  type ConsumerOptions,
  type Decoded,
  encodeMessage,
  type RecordHandler,
  TopicMissingError,
} from '#libs/messaging';
import { aMessage, Collected, eventually, kafkaStack, log, topicSpec } from './messaging-stack.js';

/** Each spec has its own topic, with what it needs of partitions. */
const TOPICS = {
  order: 3,
  typeError: 1,
  undecodable: 1,
  gap: 1,
  slow: 1,
  prefix: 1,
  full: 1,
  rebalance: 6,
  stop: 1,
  churn: 6,
  crash: 1,
  control: 1,
} as const;
const topicOf = (name: keyof typeof TOPICS) => `spec.${name}.v1`;

let stack: Awaited<ReturnType<typeof kafkaStack>>;
const consumers: Consumer[] = [];

beforeAll(async () => {
  stack = await kafkaStack(
    Object.entries(TOPICS).map(([name, partitions]) => topicSpec(`spec.${name}.v1`, partitions)),
  );
});
afterEach(() =>
  Promise.all(consumers.splice(0).map((consumer) => consumer.stop({ graceMs: 1_000 }))),
);
afterAll(() => stack.close());

function consume(
  name: keyof typeof TOPICS,
  handler: RecordHandler,
  more: Partial<ConsumerOptions> = {},
) {
  const consumer = new Consumer({
    kafka: stack.kafka,
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
}

async function joined(consumer: Consumer): Promise<Consumer> {
  await consumer.start();
  await consumer.joined;
  return consumer;
}

function numberOf(decoded: Decoded): number {
  if (decoded.kind !== 'message') throw new Error(decoded.problem.reason);
  return (decoded.message.data as { number: number }).number;
}

const keyOf = (decoded: Decoded) => (decoded.kind === 'message' ? decoded.message.key : '');

const numbered = (key: string, count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => aMessage(key, { number: from + index }));

it('hands over the records of a key one after the other, in order, and other keys meanwhile', async () => {
  const gate = Promise.withResolvers<void>();
  const handed = new Collected<string>();
  const inWork = new Map<string, number>();
  let overlaps = 0;
  await joined(
    consume('order', async (decoded) => {
      const key = keyOf(decoded);
      if ((inWork.get(key) ?? 0) > 0) overlaps += 1;
      inWork.set(key, (inWork.get(key) ?? 0) + 1);
      handed.add(`${key}:${numberOf(decoded)}`);
      if (key === 'slow') await gate.promise;
      else await Promise.resolve();
      inWork.set(key, 0);
    }),
  );
  await stack.send(topicOf('order'), [
    ...numbered('slow', 3),
    ...Array.from({ length: 10 }, (_, index) => numbered(`key-${index}`, 5)).flat(),
  ]);
  await handed.reaches(51);
  expect(handed.items.filter((item) => item.startsWith('slow'))).toEqual(['slow:0']);
  gate.resolve();
  await handed.reaches(53);
  for (const key of ['slow', 'key-0', 'key-7']) {
    const numbers = handed.items.filter((item) => item.startsWith(`${key}:`));
    expect(numbers).toEqual(numbers.map((_, index) => `${key}:${index}`));
  }
  expect(overlaps).toBe(0);
});

it('hands a record over again after its handler threw a TypeError, and goes on with the others', async () => {
  const settled = new Collected<number>();
  let failures = 0;
  const consumer = await joined(
    consume('typeError', async (decoded) => {
      const number = numberOf(decoded);
      if (number === 0 && failures < 3) {
        failures += 1;
        throw new TypeError("Cannot read properties of undefined (reading 'id')");
      }
      settled.add(number);
    }),
  );
  await stack.send(topicOf('typeError'), [...numbered('poison', 1), ...numbered('good', 3, 1)]);
  await settled.reaches(4);
  expect(settled.items).toEqual([1, 2, 3, 0]);
  expect(consumer.status().faults).toBe(3);
  await eventually(
    () => stack.committed('group.typeError', topicOf('typeError')),
    ({ 0: offset }) => offset === '4',
  );
});

it('hands undecodable records over with the reason, and goes on', async () => {
  const seen = new Collected<Decoded>();
  await joined(consume('undecodable', async (decoded) => seen.add(decoded)));
  const { key, headers } = encodeMessage(aMessage('run-1'));
  const value = Buffer.from('{}');
  const { ce_type: _type, ...withoutType } = headers;
  await stack.producer.send({
    topic: stack.kafka.topicName(topicOf('undecodable')),
    messages: [
      { key, headers, value: null },
      { key, headers, value: Buffer.from('{"half":') },
      { key, headers: withoutType, value },
      { key, headers: { ...headers, ce_specversion: '2.0' }, value },
      { key, headers, value: Buffer.alloc(950_000, 'x') },
      { key: null, value },
      { key, headers, value },
    ],
  });
  await seen.reaches(7);
  const outcomes = seen.items
    .map((decoded) => ({
      offset: Number((decoded.kind === 'message' ? decoded.message : decoded).position.offset),
      outcome: decoded.kind === 'message' ? 'message' : decoded.problem.code,
    }))
    .sort((a, b) => a.offset - b.offset);
  expect(outcomes.map(({ outcome }) => outcome)).toEqual([
    'value_missing',
    'json_invalid',
    'header_missing',
    'specversion_unknown',
    'value_too_large',
    'header_missing',
    'message',
  ]);
  await eventually(
    () => stack.committed('group.undecodable', topicOf('undecodable')),
    ({ 0: offset }) => offset === '7',
  );
});

it('commits up to the first record that is not settled, whatever is settled behind it', async () => {
  const gate = Promise.withResolvers<void>();
  const settled = new Collected<number>();
  await joined(
    consume('gap', async (decoded) => {
      if (numberOf(decoded) === 2) await gate.promise;
      settled.add(numberOf(decoded));
    }),
  );
  await stack.send(
    topicOf('gap'),
    Array.from({ length: 400 }, (_, number) => aMessage(`key-${number}`, { number })),
  );
  await settled.reaches(399);
  const committed = () => stack.committed('group.gap', topicOf('gap'));
  await eventually(committed, ({ 0: offset }) => offset === '2');
  await new Promise((resolve) => setTimeout(resolve, 600)); // two commit rounds
  expect(await committed()).toEqual({ 0: '2' });
  gate.resolve();
  await eventually(committed, ({ 0: offset }) => offset === '400');
});

it('carries 1,000 quick records past a slow one on their partition', async () => {
  const gate = Promise.withResolvers<void>();
  const settled = new Collected<number>();
  await joined(
    consume('slow', async (decoded) => {
      if (keyOf(decoded) === 'slow') await gate.promise;
      settled.add(numberOf(decoded));
    }),
  );
  await stack.send(topicOf('slow'), [
    ...numbered('slow', 1),
    ...Array.from({ length: 1_000 }, (_, number) => aMessage(`key-${number}`, { number })),
  ]);
  await settled.reaches(1_000);
  gate.resolve();
  await settled.reaches(1_001);
});

it('speaks of topics by their logical names', async () => {
  const seen = new Collected<Decoded>();
  const consumer = await joined(consume('prefix', async (decoded) => seen.add(decoded)));
  await stack.send(topicOf('prefix'), numbered('run-1', 1));
  const [decoded] = await seen.reaches(1);
  expect(decoded).toMatchObject({
    message: { position: { topic: topicOf('prefix'), partition: 0, offset: '0' } },
  });
  expect(consumer.status().partitions).toEqual([
    { topic: topicOf('prefix'), partition: 0, unsettled: 0, paused: false, lag: 0 },
  ]);
});

it('stops fetching when its buffer is full, and resumes when there is room', async () => {
  const gate = Promise.withResolvers<void>();
  const handed = new Collected<number>();
  const consumer = await joined(
    consume(
      'full',
      async (decoded) => {
        handed.add(numberOf(decoded));
        await gate.promise;
      },
      { maxBuffered: 50 },
    ),
  );
  const text = 'x'.repeat(10_000); // 128 KB a fetch: about 12 records
  for (let number = 0; number < 200; number += 20) {
    const messages = Array.from({ length: 20 }, (_, index) =>
      aMessage(`key-${number + index}`, { number: number + index, text }),
    );
    await stack.send(topicOf('full'), messages);
  }
  await eventually(() => consumer.status().partitions[0]?.paused, Boolean);
  await new Promise((resolve) => setTimeout(resolve, 1_200)); // two empty fetch rounds
  expect(handed.items.length).toBeLessThan(100);
  expect(consumer.status().partitions[0]?.unsettled).toBe(handed.items.length);
  gate.resolve();
  await handed.reaches(200);
  expect(new Set(handed.items).size).toBe(200);
});

it('keeps what it has in hand through a rebalance, and loses nothing to the new member', async () => {
  const gate = Promise.withResolvers<void>();
  const [here, there] = [new Collected<string>(), new Collected<string>()];
  const idOf = (decoded: Decoded) => `${keyOf(decoded)}:${numberOf(decoded)}`;
  const first = await joined(
    consume('rebalance', async (decoded) => {
      here.add(idOf(decoded));
      await gate.promise;
    }),
  );
  const before = Array.from({ length: 30 }, (_, index) => numbered(`key-${index}`, 1)).flat();
  await stack.send(topicOf('rebalance'), before);
  await here.reaches(30);
  const second = await joined(consume('rebalance', async (decoded) => there.add(idOf(decoded))));
  await eventually(
    () => first.status().partitions.length,
    (count) => count === 3,
  );
  expect(second.status().partitions).toHaveLength(3);
  // Kept partitions: nothing in hand comes a second time. Lost ones: the new member gets all of them, uncommitted as they are.
  const after = Array.from({ length: 30 }, (_, index) => numbered(`key-${index}`, 1, 1)).flat();
  await stack.send(topicOf('rebalance'), after);
  gate.resolve();
  await eventually(
    () => new Set([...here.items, ...there.items]).size,
    (size) => size === 60,
  );
  expect(new Set(here.items).size).toBe(here.items.length);
  await eventually(
    () => stack.committed('group.rebalance', topicOf('rebalance')),
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
  await joined(consume('churn', handler));
  const sending = (async () => {
    for (let number = 0; number < COUNT; number += 1) {
      const round = Array.from({ length: KEYS }, (_, key) => aMessage(`key-${key}`, { number }));
      await stack.send(topicOf('churn'), round);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  for (let round = 0; round < 3; round += 1) {
    const guest = await joined(consume('churn', handler));
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
    consume('stop', async (decoded) => {
      if (numberOf(decoded) === 3) await never.promise;
      first.add(numberOf(decoded));
    }),
  );
  await stack.send(
    topicOf('stop'),
    Array.from({ length: 5 }, (_, number) => aMessage(`key-${number}`, { number })),
  );
  await first.reaches(4);
  await stopping.stop({ graceMs: 100 });
  expect(await stack.committed('group.stop', topicOf('stop'))).toEqual({ 0: '3' });
  const second = new Collected<number>();
  const start = performance.now();
  await joined(consume('stop', async (decoded) => second.add(numberOf(decoded))));
  await second.reaches(2);
  expect(second.items).toEqual([3, 4]);
  expect(performance.now() - start).toBeLessThan(5_000); // It left: nobody waited for its session to time out.
  never.resolve();
});

it('commits past the control records of a transaction, so that no lag stays', async () => {
  const settled = new Collected<number>();
  const consumer = await joined(
    consume('control', async (decoded) => settled.add(numberOf(decoded))),
  );
  const producer = stack.kafka.newClient().producer({
    transactionalId: `${stack.kafka.topicPrefix}spec`,
    maxInFlightRequests: 1,
    idempotent: true,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  const transaction = await producer.transaction();
  await transaction.send({
    topic: stack.kafka.topicName(topicOf('control')),
    messages: numbered('run-1', 2).map(encodeMessage),
  });
  await transaction.commit();
  await producer.disconnect();
  await settled.reaches(2);
  await eventually(
    () => stack.committed('group.control', topicOf('control')),
    ({ 0: offset }) => offset === '3',
  );
  expect(consumer.status().partitions[0]?.lag).toBe(0);
});

it('says that it is dead when the group refuses it for good', async () => {
  const stranger = stack.kafka.newClient().consumer({
    groupId: stack.kafka.groupName('group.crash'),
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
  await stranger.subscribe({ topics: [stack.kafka.topicName(topicOf('crash'))] });
  const strangerJoined = Promise.withResolvers<void>();
  stranger.on(stranger.events.GROUP_JOIN, () => strangerJoined.resolve());
  await stranger.run({ eachMessage: async () => undefined });
  await strangerJoined.promise;
  const crashed = Promise.withResolvers<Error>();
  const consumer = consume('crash', async () => undefined, { onCrash: crashed.resolve });
  await consumer.start();
  await expect(consumer.joined).rejects.toThrow(/protocol/i);
  expect((await crashed.promise).message).toMatch(/protocol/i);
  await stranger.disconnect();
});

it('names a topic that does not exist instead of making it', async () => {
  const consumer = new Consumer({
    kafka: stack.kafka,
    groupId: 'group.missing',
    topics: ['spec.missing.v1'],
    handler: async () => undefined,
    log,
    onCrash: () => undefined,
  });
  await expect(consumer.start()).rejects.toBeInstanceOf(TopicMissingError);
  expect(await stack.admin.listTopics()).not.toContain(stack.kafka.topicName('spec.missing.v1'));
});
