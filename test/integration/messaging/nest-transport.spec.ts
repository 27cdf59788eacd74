/** Real: Kafka, Nest's microservice runtime, the transport strategy. Stands in: handlers that fail on purpose. */
import 'reflect-metadata';
import { Controller, Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { concatMap, delay, from, of, throwError, type Observable } from 'rxjs';
import {
  connectKafkaTransport,
  KafkaRecordContext,
  type KafkaTransportOptions,
  KafkaTransportStrategy,
  type ReceivedMessage,
  silentLog,
  TopicHandlerError,
  type UndecodableRecord,
} from '#libs/messaging';
import type { FieldLog } from '#libs/process';
import { aMessage, Collected, eventually, kafkaStack, topicSpec } from './messaging-stack.js';

const WORK = 'spec.work.v1';
const STREAM = 'spec.stream.v1';
const THROWS = 'spec.throws.v1';
const RETRY = 'spec.work.v1.retry.1s';
const UNHANDLED = 'spec.unhandled.v1';

const handled = new Collected<ReceivedMessage>();
const retried = new Collected<ReceivedMessage>();
const streamed = new Collected<string>();
const thrown = new Collected<number>();
let streamFailures = 0;

@Controller()
class SpecController {
  @EventPattern<string>(WORK)
  work(@Payload() message: ReceivedMessage, @Ctx() context: KafkaRecordContext) {
    expect(context.getMessage()).toBe(message);
    handled.add(message);
  }

  /** Resolves at once to a stream that fails later: what `await handler()` alone takes for success. */
  @EventPattern<string>(STREAM)
  stream(): Observable<string> {
    if (streamFailures++ === 0) {
      return of('started').pipe(
        delay(20),
        concatMap(() => throwError(() => new RangeError('the stream broke'))),
      );
    }
    return from(['started', 'finished']).pipe(
      concatMap((step) =>
        of(step).pipe(
          delay(5),
          concatMap(() => {
            streamed.add(step);
            return of(step);
          }),
        ),
      ),
    );
  }

  @EventPattern<string>(THROWS)
  throws(@Payload() message: ReceivedMessage) {
    thrown.add((message.data as { number: number }).number);
    if (thrown.items.length === 1)
      throw new TypeError('Cannot read properties of undefined', { cause: new Error('the root') });
  }

  @EventPattern<string>(RETRY)
  retry(@Payload() message: ReceivedMessage) {
    retried.add(message);
  }
}

@Module({ controllers: [SpecController] })
class SpecModule {}

let stack: Awaited<ReturnType<typeof kafkaStack>>;
let app: INestApplication;
const undecodable = new Collected<UndecodableRecord>();
const faults = new Collected<unknown>();
const log: FieldLog = {
  ...silentLog,
  error: (fields) => faults.add(fields.error),
};

function strategy(options: Partial<KafkaTransportOptions>) {
  return new KafkaTransportStrategy({
    kafka: stack.kafka,
    groupId: 'spec.group',
    log,
    onCrash: (error) => {
      throw error;
    },
    onUndecodable: async (record) => undecodable.add(record),
    ...options,
  });
}

let work: KafkaTransportStrategy;
let throwing: KafkaTransportStrategy;

beforeAll(async () => {
  stack = await kafkaStack([
    ...[WORK, STREAM, THROWS, UNHANDLED].map((name) => topicSpec(name, 1)),
    topicSpec(RETRY, 1, { 'message.timestamp.type': 'LogAppendTime' }),
  ]);
  app = await NestFactory.create(SpecModule, new FastifyAdapter(), { logger: false });
  work = strategy({ topics: [WORK, STREAM] });
  throwing = strategy({ topics: [THROWS], groupId: 'spec.group.throws' });
  const retry = strategy({
    tiers: [{ topic: RETRY, delayMs: 1_000 }],
    groupId: 'spec.group.retry',
  });
  for (const each of [work, throwing, retry]) connectKafkaTransport(app, each);
  await app.init();
  await app.startAllMicroservices();
  await Promise.all([work, throwing, retry].map((each) => each.joined));
});
afterAll(async () => {
  await app.close();
  await stack.close();
});

it('hands a decoded message to the handler of its logical topic', async () => {
  await stack.send(WORK, [aMessage('run-1', { number: 1 })]);
  const [message] = await handled.reaches(1);
  expect(message).toMatchObject({
    key: 'run-1',
    data: { number: 1 },
    position: { topic: WORK, offset: '0' },
  });
  await eventually(
    () => stack.committed('spec.group', WORK),
    ({ 0: offset }) => offset === '1',
  );
});

it('settles when the stream of the handler completes, not when the handler returns', async () => {
  await stack.send(STREAM, [aMessage('run-1')]);
  await streamed.reaches(2);
  expect(streamFailures).toBe(2); // The first stream failed after the handler had returned: the record came again.
  await eventually(
    () => stack.committed('spec.group', STREAM),
    ({ 0: offset }) => offset === '1',
  );
  expect(faults.items).toContainEqual(
    expect.objectContaining({ name: 'RangeError', message: 'the stream broke' }),
  );
});

it('hands the record of a throwing handler over again, and reports the error with its cause', async () => {
  await stack.send(THROWS, [aMessage('run-1', { number: 1 }), aMessage('run-1', { number: 2 })]);
  await thrown.reaches(3);
  expect(thrown.items).toEqual([1, 1, 2]);
  expect(faults.items).toContainEqual(
    expect.objectContaining({
      name: 'TypeError',
      message: 'Cannot read properties of undefined',
      cause: expect.objectContaining({ message: 'the root' }) as unknown,
    }),
  );
});

it('gives what it cannot decode to onUndecodable, and goes on', async () => {
  const before = handled.items.length;
  await stack.producer.send({
    topic: stack.kafka.topicName(WORK),
    messages: [{ key: 'run-9', value: 'no envelope' }],
  });
  await stack.send(WORK, [aMessage('run-2')]);
  const [record] = await undecodable.reaches(1);
  expect(record).toMatchObject({ key: 'run-9', problem: { code: 'header_missing' } });
  await handled.reaches(before + 1);
});

it('runs retry tiers through the same handlers, at their time', async () => {
  const start = Date.now();
  await stack.send(RETRY, [aMessage('run-1')]);
  await retried.reaches(1);
  expect(Date.now() - start).toBeGreaterThanOrEqual(1_000);
});

it('does not start with a topic that nobody handles', async () => {
  const other = await NestFactory.create(SpecModule, new FastifyAdapter(), { logger: false });
  connectKafkaTransport(other, strategy({ topics: [UNHANDLED], groupId: 'spec.group.unhandled' }));
  await expect(other.startAllMicroservices()).rejects.toBeInstanceOf(TopicHandlerError);
  await other.close();
});

it('leaves its group when it is drained, and once only', async () => {
  await work.drain({ graceMs: 1_000 });
  expect(work.consumerStatus()).toMatchObject({ joined: false, inWork: 0 });
  const { groups } = await stack.admin.describeGroups([stack.kafka.groupName('spec.group')]);
  expect(groups[0]?.members).toEqual([]);
  await work.close();
});
