/**
 * Real: Kafka, Postgres, relay and consumer. Stands in: the network, whose connections to Kafka this spec can cut, refuse and
 * make deaf (requests go out, answers do not come in).
 */
import net from 'node:net';
import type { KafkaConfig } from 'kafkajs';
import {
  Consumer,
  consumerProblem,
  KafkaConnection,
  OutboxRelay,
  type ReceivedMessage,
} from '#libs/messaging';
import { quickestOf } from '../../support/quickest-of.js';
import {
  aMessage,
  Collected,
  eventually,
  kafkaStack,
  log,
  outboxStack,
  SCHEMA,
  topicSpec,
} from './messaging-stack.js';

const TOPIC = 'spec.events.v1';
const WORK = 'spec.work.v1';

let stack: Awaited<ReturnType<typeof kafkaStack>>;
let outbox: Awaited<ReturnType<typeof outboxStack>>;
let network: Network;
let broken: BreakableKafka;

beforeAll(async () => {
  stack = await kafkaStack([topicSpec(TOPIC), topicSpec(WORK)]);
});
afterAll(() => stack.close());
beforeEach(async () => {
  outbox = await outboxStack();
  network = new Network();
  broken = new BreakableKafka(network);
});
afterEach(() => outbox.close());

class Network {
  state: 'good' | 'refused' | 'deaf' = 'good';
  private readonly sockets = new Set<net.Socket>();

  connect(host: string, port: number, onConnect: () => void): net.Socket {
    const socket = net.connect({ host, port: this.state === 'refused' ? 1 : port }, onConnect);
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    const emit = socket.emit.bind(socket);
    // Answers that arrive while the network is deaf are gone.
    socket.emit = (event: string | symbol, ...values: unknown[]) =>
      event === 'data' && this.state === 'deaf' ? false : emit(event, ...values);
    return socket;
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy(new Error('ECONNRESET'));
  }
}

class BreakableKafka extends KafkaConnection {
  constructor(private readonly breakable: Network) {
    super({
      brokers: stack.kafka.brokers,
      clientId: 'spec',
      topicPrefix: stack.kafka.topicPrefix,
      log,
    });
  }
  override newClient(
    overrides?: Partial<KafkaConfig>,
    sockets?: Parameters<KafkaConnection['newClient']>[1],
  ) {
    const socketFactory: KafkaConfig['socketFactory'] = ({ host, port, onConnect }) =>
      this.breakable.connect(host, port, onConnect);
    return super.newClient({ ...overrides, socketFactory }, sockets);
  }
}

async function consume(
  kafka: KafkaConnection,
  groupId: string,
  topic: string,
  seen: Collected<ReceivedMessage>,
) {
  const consumer = new Consumer({
    kafka,
    groupId,
    topics: [topic],
    log,
    onCrash: (error) => {
      throw error;
    },
    handler: async (decoded) => {
      if (decoded.kind === 'message') seen.add(decoded.message);
    },
  });
  await consumer.start();
  await consumer.joined;
  return consumer;
}

const pauseFor = (waitMs: number) => new Promise((resolve) => setTimeout(resolve, waitMs));
const numberOf = ({ data }: ReceivedMessage) => (data as { number: number }).number;
const upTo = (count: number) => Array.from({ length: count }, (_, number) => number);

it('publishes everything, in order, through refused, cut and deaf connections', async () => {
  const seen = new Collected<ReceivedMessage>();
  const downstream = await consume(stack.kafka, 'downstream', TOPIC, seen);
  const relay = new OutboxRelay({
    database: outbox.database,
    schema: SCHEMA,
    kafka: broken,
    holder: 'spec',
    log,
  });
  network.state = 'refused';
  relay.start();
  let number = 0;
  const append = async (count: number) => {
    for (let each = 0; each < count; each += 1) {
      const message = aMessage('run-1', { number: number++ });
      await outbox.database.transaction((tx) =>
        outbox.outbox.append(tx, [{ topic: TOPIC, message }]),
      );
    }
  };
  await append(20);
  await eventually(
    () => relay.status().failure,
    (failure) => failure !== null,
  );
  network.state = 'good';
  await seen.reaches(20);
  for (let round = 0; round < 3; round += 1) {
    await append(20);
    network.cut();
  }
  await eventually(outbox.rows, (rows) => rows === 0); // it has a connection again, which goes deaf
  network.state = 'deaf';
  await append(20);
  await eventually(
    () => relay.status().failure,
    (failure) => failure !== null,
  );
  network.state = 'good';
  await eventually(outbox.rows, (rows) => rows === 0);
  await eventually(
    () => new Set(seen.items.map(({ id }) => id)).size,
    (ids) => ids === 100,
  );
  // Deaf means acknowledged and not heard: those came twice. First occurrences are in order all the same.
  expect([...new Set(seen.items.map(numberOf))]).toEqual(upTo(100));
  expect(seen.items.length).toBeGreaterThan(100);
  await relay.stop();
  await downstream.stop({ graceMs: 0 });
});

it('publishes though the broker that is named first is away', async () => {
  const kafka = new KafkaConnection({
    ...{ brokers: ['127.0.0.1:1', ...stack.kafka.brokers], clientId: 'spec', log },
    topicPrefix: stack.kafka.topicPrefix,
  });
  const relay = new OutboxRelay({
    ...{ database: outbox.database, schema: SCHEMA, kafka, holder: 'spec', log },
  });
  relay.start();
  await outbox.database.transaction((tx) =>
    outbox.outbox.append(tx, [{ topic: TOPIC, message: aMessage('run-3') }]),
  );
  await eventually(outbox.rows, (rows) => rows === 0);
  await relay.stop();
});

it('hands a batch over to no later leader while its own request may still be under way', async () => {
  const relay = new OutboxRelay({
    database: outbox.database,
    schema: SCHEMA,
    kafka: broken,
    holder: 'spec',
    log,
  });
  relay.start();
  const leaseMs = 3_000;
  const gaveUpAfterMs = await quickestOf(3, leaseMs, async () => {
    await eventually(relay.status.bind(relay), ({ leading, failure }) => leading && !failure);
    network.state = 'deaf';
    const start = performance.now();
    await outbox.database.transaction((tx) =>
      outbox.outbox.append(tx, [{ topic: TOPIC, message: aMessage('run-2') }]),
    );
    await eventually(
      () => relay.status().failure,
      (failure) => failure !== null,
    );
    const afterMs = performance.now() - start;
    network.state = 'good';
    await eventually(outbox.rows, (rows) => rows === 0);
    return afterMs;
  });
  expect(gaveUpAfterMs).toBeLessThan(leaseMs); // kafkajs' own retries would go on for a minute
  await relay.stop({ flushMs: 5_000 });
});

it('consumes on by itself after Kafka was away, and loses nothing', async () => {
  const seen = new Collected<ReceivedMessage>();
  const consumer = await consume(broken, 'broken', WORK, seen);
  const send = (from: number) =>
    stack.send(
      WORK,
      Array.from({ length: 10 }, (_, index) => aMessage('run-1', { number: from + index })),
    );
  await send(0);
  await seen.reaches(10);
  expect(consumerProblem(consumer.status())).toBeNull();
  network.state = 'refused';
  network.cut();
  const cutAt = performance.now();
  await send(10);
  await pauseFor(8_000); // longer than the session: the group has thrown this member out
  const problem = consumerProblem(consumer.status()) ?? '';
  const seconds = Number(/^Kafka has not answered for (\d+) s/.exec(problem)?.[1]);
  expect(seconds).toBeGreaterThanOrEqual(7);
  expect(seconds).toBeLessThanOrEqual((performance.now() - cutAt) / 1_000 + 1);
  await send(20);
  network.state = 'good';
  await eventually(
    () => new Set(seen.items.map(numberOf)).size,
    (numbers) => numbers === 30,
  );
  expect([...new Set(seen.items.map(numberOf))]).toEqual(upTo(30));
  await eventually(
    () => stack.committed('broken', WORK),
    (offsets) => Object.values(offsets).includes('30'),
  );
  expect(consumerProblem(consumer.status())).toBeNull();
  await consumer.stop({ graceMs: 1_000 });
  expect(consumerProblem(consumer.status())).toMatch(/^has left its group/);
});

it('settles what is in hand while Kafka is away, however often its client starts again', async () => {
  const gate = Promise.withResolvers<void>();
  const begun = new Collected<number>();
  const consumer = new Consumer({
    kafka: broken,
    groupId: 'in-hand',
    topics: [WORK],
    maxBuffered: 5, // so that settling wants to resume a partition that the client does not know just now
    log,
    onCrash: (error) => {
      throw error;
    },
    handler: async (decoded) => {
      if (decoded.kind === 'message') begun.add(numberOf(decoded.message));
      await gate.promise;
    },
  });
  await consumer.start();
  await stack.send(
    WORK,
    Array.from({ length: 10 }, (_, number) => aMessage(`key-${number}`, { number })),
  );
  await begun.reaches(10);
  network.state = 'refused';
  network.cut();
  await pauseFor(6_000);
  gate.resolve();
  await pauseFor(500);
  network.state = 'good';
  const sum = async () =>
    Object.values(await stack.committed('in-hand', WORK)).reduce(
      (total, offset) => total + Number(offset),
      0,
    );
  await eventually(sum, (total) => total === 40); // 30 of the spec before
  await consumer.stop({ graceMs: 1_000 });
});
