/** How records are handed over. Real: Kafka, the consumer runtime. Stands in: handlers that are slow, or fail, on purpose. */
import { type Decoded, encodeMessage } from '#libs/messaging';
import { consumerScene, joined, keyOf, numbered, numberOf } from './consumer-scene.js';
import { aMessage, Collected, eventually } from './messaging-stack.js';

const scene = consumerScene({
  order: 3,
  typeError: 1,
  undecodable: 1,
  slow: 1,
  prefix: 1,
  full: 1,
});

it('hands over the records of a key one after the other, in order, and other keys meanwhile', async () => {
  const gate = Promise.withResolvers<void>();
  const handed = new Collected<string>();
  const inWork = new Map<string, number>();
  let overlaps = 0;
  await joined(
    scene.consume('order', async (decoded) => {
      const key = keyOf(decoded);
      if ((inWork.get(key) ?? 0) > 0) overlaps += 1;
      inWork.set(key, (inWork.get(key) ?? 0) + 1);
      handed.add(`${key}:${numberOf(decoded)}`);
      if (key === 'slow') await gate.promise;
      else await Promise.resolve();
      inWork.set(key, 0);
    }),
  );
  await scene.stack.send(scene.topicOf('order'), [
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
    scene.consume('typeError', async (decoded) => {
      const number = numberOf(decoded);
      if (number === 0 && failures < 3) {
        failures += 1;
        throw new TypeError("Cannot read properties of undefined (reading 'id')");
      }
      settled.add(number);
    }),
  );
  await scene.stack.send(scene.topicOf('typeError'), [
    ...numbered('poison', 1),
    ...numbered('good', 3, 1),
  ]);
  await settled.reaches(4);
  expect(settled.items).toEqual([1, 2, 3, 0]);
  expect(consumer.status().faults).toBe(3);
  await eventually(
    () => scene.stack.committed('group.typeError', scene.topicOf('typeError')),
    ({ 0: offset }) => offset === '4',
  );
});

it('hands undecodable records over with the reason, and goes on', async () => {
  const seen = new Collected<Decoded>();
  await joined(scene.consume('undecodable', async (decoded) => seen.add(decoded)));
  const { key, headers } = encodeMessage(aMessage('run-1'));
  const value = Buffer.from('{}');
  const { ce_type: _type, ...withoutType } = headers;
  await scene.stack.producer.send({
    topic: scene.stack.kafka.topicName(scene.topicOf('undecodable')),
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
    () => scene.stack.committed('group.undecodable', scene.topicOf('undecodable')),
    ({ 0: offset }) => offset === '7',
  );
});

it('carries 1,000 quick records past a slow one on their partition', async () => {
  const gate = Promise.withResolvers<void>();
  const settled = new Collected<number>();
  await joined(
    scene.consume('slow', async (decoded) => {
      if (keyOf(decoded) === 'slow') await gate.promise;
      settled.add(numberOf(decoded));
    }),
  );
  await scene.stack.send(scene.topicOf('slow'), [
    ...numbered('slow', 1),
    ...Array.from({ length: 1_000 }, (_, number) => aMessage(`key-${number}`, { number })),
  ]);
  await settled.reaches(1_000);
  gate.resolve();
  await settled.reaches(1_001);
});

it('speaks of topics by their logical names', async () => {
  const seen = new Collected<Decoded>();
  const consumer = await joined(scene.consume('prefix', async (decoded) => seen.add(decoded)));
  await scene.stack.send(scene.topicOf('prefix'), numbered('run-1', 1));
  const [decoded] = await seen.reaches(1);
  expect(decoded).toMatchObject({
    message: { position: { topic: scene.topicOf('prefix'), partition: 0, offset: '0' } },
  });
  expect(consumer.status().partitions).toEqual([
    { topic: scene.topicOf('prefix'), partition: 0, unsettled: 0, paused: false, lag: 0 },
  ]);
});

it('stops fetching when its buffer is full, and resumes when there is room', async () => {
  const gate = Promise.withResolvers<void>();
  const handed = new Collected<number>();
  const consumer = await joined(
    scene.consume(
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
    await scene.stack.send(scene.topicOf('full'), messages);
  }
  await eventually(() => consumer.status().partitions[0]?.paused, Boolean);
  await new Promise((resolve) => setTimeout(resolve, 1_200)); // two empty fetch rounds
  expect(handed.items.length).toBeLessThan(100);
  expect(consumer.status().partitions[0]?.unsettled).toBe(handed.items.length);
  gate.resolve();
  await handed.reaches(200);
  expect(new Set(handed.items).size).toBe(200);
});
