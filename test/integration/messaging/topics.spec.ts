/** Real: Kafka. Stands in: nothing. */
import kafkajs from 'kafkajs';
import { createTopics, TopicDiffersError, waitForKafka, KafkaConnection } from '#libs/messaging';
import { HOUR_MS, kafkaStack, log, topicSpec } from './messaging-stack.js';

const RETRY = topicSpec('spec.retry.5s', 4, { 'message.timestamp.type': 'LogAppendTime' });

let stack: Awaited<ReturnType<typeof kafkaStack>>;
beforeAll(async () => {
  stack = await kafkaStack([]);
});
afterAll(() => stack.close());

it('makes what is missing, leaves what is there, and may run as often as one likes', async () => {
  const events = topicSpec('spec.events', 3);
  expect(await createTopics(stack.kafka, [events])).toEqual({
    created: ['spec.events'],
    existing: [],
  });
  expect(await createTopics(stack.kafka, [events, RETRY])).toEqual({
    created: ['spec.retry.5s'],
    existing: ['spec.events'],
  });
  const both = await Promise.all([
    createTopics(stack.kafka, [events, RETRY]),
    createTopics(stack.kafka, [events, RETRY]),
  ]);
  expect(both[0].existing).toEqual(['spec.events', 'spec.retry.5s']);
});

it('makes all of them when two deployments do so at once', async () => {
  const specs = ['a', 'b', 'c'].map((name) => topicSpec(`spec.together.${name}`, 2));
  await Promise.all([
    createTopics(stack.kafka, specs),
    createTopics(stack.kafka, specs.toReversed()),
  ]);
  expect((await createTopics(stack.kafka, specs)).existing).toHaveLength(3);
});

it('refuses to take a topic for the one specified when its partitions or its clock differ', async () => {
  await createTopics(stack.kafka, [topicSpec('spec.other', 2)]);
  const wanted = topicSpec('spec.other', 4, { 'message.timestamp.type': 'LogAppendTime' });
  const refusal = await createTopics(stack.kafka, [wanted]).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(TopicDiffersError);
  expect((refusal as TopicDiffersError).differences).toEqual([
    'spec.other has 2 partitions, wanted 4',
    'spec.other has message.timestamp.type=CreateTime, wanted LogAppendTime',
  ]);
});

it('returns when every partition takes records, so that nobody is turned away at first', async () => {
  const specs = Array.from({ length: 8 }, (_, index) => topicSpec(`spec.ready.${index}`, 12));
  await createTopics(stack.kafka, specs);
  const impatient = stack.kafka.newClient({ retry: { retries: 0 } });
  const producer = impatient.producer({
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  await producer.sendBatch({
    topicMessages: specs.map(({ name, partitions }) => ({
      topic: stack.kafka.topicName(name),
      messages: Array.from({ length: partitions }, (_, partition) => ({ partition, value: '' })),
    })),
  });
  await producer.disconnect();
});

it('sets retention as specified', async () => {
  await createTopics(stack.kafka, [topicSpec('spec.kept')]);
  const { resources } = await stack.admin.describeConfigs({
    includeSynonyms: false,
    resources: [
      { type: 2, name: stack.kafka.topicName('spec.kept'), configNames: ['retention.ms'] },
    ],
  });
  expect(resources[0]?.configEntries[0]?.configValue).toBe(String(HOUR_MS));
});

it('waits for Kafka with a line for people, and no longer than it is asked to', async () => {
  await waitForKafka(stack.kafka, {
    signal: AbortSignal.timeout(10_000),
    onWaiting: () => undefined,
  });
  const away = new KafkaConnection({ brokers: ['127.0.0.1:1'], clientId: 'spec', log });
  const lines: string[] = [];
  const waiting = waitForKafka(away, {
    signal: AbortSignal.timeout(1_500),
    onWaiting: (line) => lines.push(line),
  });
  await expect(waiting).rejects.toThrow(/timeout/);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('waiting for Kafka at 127.0.0.1:1');
});
