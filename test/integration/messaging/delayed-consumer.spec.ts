/** Real: Kafka with LogAppendTime topics, the delayed consumer. Tiers are short so that the spec is. Stands in: nothing. */
import {
  type Decoded,
  DelayedConsumer,
  type DelayedConsumerOptions,
  encodeMessage,
} from '#libs/messaging';
import { quickestOf } from '../../support/quickest-of.js';
import { aMessage, Collected, eventually, kafkaStack, log, topicSpec } from './messaging-stack.js';

const APPEND_TIME = { 'message.timestamp.type': 'LogAppendTime' };
const tiers = (name: string) => [
  { topic: `spec.${name}.retry.1s`, delayMs: 1_000 },
  { topic: `spec.${name}.retry.4s`, delayMs: 4_000 },
];
const NAMES = ['many', 'skew', 'taken', 'stop'];

let stack: Awaited<ReturnType<typeof kafkaStack>>;
const consumers: DelayedConsumer[] = [];

beforeAll(async () => {
  stack = await kafkaStack(
    NAMES.flatMap(tiers).map(({ topic }) => topicSpec(topic, 3, APPEND_TIME)),
  );
});
afterEach(() =>
  Promise.all(consumers.splice(0).map((consumer) => consumer.stop({ graceMs: 1_000 }))),
);
afterAll(() => stack.close());

interface HandOver {
  readonly number: number;
  readonly topic: string;
  /** Handed over so long after the broker's own timestamp. */
  readonly afterMs: number;
}

function handOver(decoded: Decoded): HandOver {
  if (decoded.kind !== 'message') throw new Error(decoded.problem.reason);
  const { data, position } = decoded.message;
  return {
    number: (data as { number: number }).number,
    topic: position.topic,
    afterMs: Date.now() - position.timestamp,
  };
}

async function consume(
  name: string,
  handed: Collected<HandOver>,
  more: Partial<DelayedConsumerOptions> = {},
) {
  const consumer = new DelayedConsumer({
    kafka: stack.kafka,
    groupId: `group.${name}.retry`,
    tiers: tiers(name),
    handler: async (decoded) => handed.add(handOver(decoded)),
    log,
    onCrash: (error) => {
      throw error;
    },
    ...more,
  });
  consumers.push(consumer);
  await consumer.start();
  await consumer.joined;
  return consumer;
}

const numbered = (count: number) =>
  Array.from({ length: count }, (_, number) => aMessage(`key-${number}`, { number }));
const committedSum = async (name: string) => {
  const offsets = await Promise.all(
    tiers(name).map(({ topic }) => stack.committed(`group.${name}.retry`, topic)),
  );
  return offsets
    .flatMap((each) => Object.values(each))
    .reduce((sum, offset) => sum + Number(offset), 0);
};

it('hands 500 pending records of a tier over at their time, none early, and commits them only then', async () => {
  const handed = new Collected<HandOver>();
  const consumer = await consume('many', handed);
  const [short, long] = tiers('many');
  const lateMs = await quickestOf(3, 2_000, async () => {
    const before = handed.items.length;
    await stack.send(long?.topic ?? '', numbered(500));
    await eventually(
      () => consumer.status().waiting,
      (waiting) => waiting === 500,
    );
    expect(await committedSum('many')).toBe(before);
    await stack.send(short?.topic ?? '', numbered(50));
    await handed.reaches(before + 550);
    const items = handed.items.slice(before);
    const lateness = items.map(({ topic, afterMs }) => {
      return afterMs - (topic === long?.topic ? 4_000 : 1_000);
    });
    expect(Math.min(...lateness)).toBeGreaterThanOrEqual(0);
    // The short tier's records were sent last and came first: no tier blocks another.
    expect(items.slice(0, 50).every(({ topic }) => topic === short?.topic)).toBe(true);
    await eventually(
      () => committedSum('many'),
      (sum) => sum === before + 550,
    );
    return Math.max(...lateness);
  });
  expect(lateMs).toBeLessThan(2_000); // late is allowed; this late on a quiet broker is a fault
});

it("counts from the broker's clock, whatever the sender's says", async () => {
  const handed = new Collected<HandOver>();
  await consume('skew', handed);
  const [{ topic } = { topic: '' }] = tiers('skew');
  const start = Date.now();
  const fiveMinutesSlow = String(start - 300_000);
  await stack.producer.send({
    topic: stack.kafka.topicName(topic),
    messages: numbered(3).map((message) => ({
      ...encodeMessage(message),
      timestamp: fiveMinutesSlow,
    })),
  });
  await handed.reaches(3);
  expect(Date.now() - start).toBeGreaterThanOrEqual(1_000);
});

it('leaves what is not due to whoever takes the partition over, still at its own time', async () => {
  const [first, second] = [new Collected<HandOver>(), new Collected<HandOver>()];
  const leaving = await consume('taken', first);
  const [, long] = tiers('taken');
  await stack.send(long?.topic ?? '', numbered(20));
  await eventually(
    () => leaving.status().waiting,
    (waiting) => waiting === 20,
  );
  await leaving.stop({ graceMs: 1_000 });
  await consume('taken', second);
  await second.reaches(20);
  expect(first.items).toEqual([]);
  for (const { afterMs } of second.items) expect(afterMs).toBeGreaterThanOrEqual(4_000);
});

it('holds no more than its buffer in memory and still hands everything over', async () => {
  const handed = new Collected<HandOver>();
  const consumer = await consume('stop', handed, { maxBuffered: 20 });
  const [short] = tiers('stop');
  for (let batch = 0; batch < 10; batch += 1) await stack.send(short?.topic ?? '', numbered(30));
  await handed.reaches(300);
  for (const { afterMs } of handed.items) expect(afterMs).toBeGreaterThanOrEqual(1_000);
  await eventually(
    () => consumer.status().waiting,
    (waiting) => waiting === 0,
  );
});
