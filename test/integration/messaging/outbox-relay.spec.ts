/** Real: Postgres, Kafka, the relay. Stands in: a consumer of its own as the downstream that drops repeats by id. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Consumer,
  type KafkaConnection,
  type OutboxMessage,
  OutboxMessageTooLargeError,
  OutboxRelay,
  type OutboxRelayOptions,
  type ReceivedMessage,
} from '#libs/messaging';
import { Notifications, type Database, type Rows, type Sql, type Statement } from '#libs/postgres';
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
const SMALL_TOPIC = 'spec.small.v1';

let kafka: Awaited<ReturnType<typeof kafkaStack>>;
let outbox: Awaited<ReturnType<typeof outboxStack>>;
let downstream: Consumer;
let seen: Collected<ReceivedMessage>;
const relays: OutboxRelay[] = [];

beforeAll(async () => {
  kafka = await kafkaStack([
    topicSpec(TOPIC),
    topicSpec(SMALL_TOPIC, 1, { 'max.message.bytes': '4096' }),
  ]);
});
afterAll(() => kafka.close());

beforeEach(async () => {
  outbox = await outboxStack();
  seen = new Collected();
  downstream = new Consumer({
    kafka: kafka.kafka,
    groupId: `downstream-${Math.random()}`,
    topics: [TOPIC, SMALL_TOPIC],
    log,
    onCrash: (error) => {
      throw error;
    },
    handler: async (decoded) => {
      if (decoded.kind === 'message' && decoded.message.source === outbox.url)
        seen.add(decoded.message);
    },
  });
  await downstream.start();
  await downstream.joined;
});
afterEach(async () => {
  await Promise.all(relays.splice(0).map((relay) => relay.stop()));
  await downstream.stop({ graceMs: 1_000 });
  await outbox.close();
});

function relay(options: Partial<OutboxRelayOptions> = {}): OutboxRelay {
  const made = new OutboxRelay({
    database: outbox.database,
    schema: SCHEMA,
    kafka: kafka.kafka,
    holder: `relay-${relays.length}-${Math.random()}`,
    log,
    ...options,
  });
  relays.push(made);
  return made;
}

/** Messages carry the database's URL as their source: the topics are shared by the specs of this file. */
function event(
  key: string,
  number: number,
  more: { topic?: string; text?: string } = {},
): OutboxMessage {
  const message = aMessage(key, { number, text: more.text ?? '' }, { source: outbox.url });
  return { topic: more.topic ?? TOPIC, message };
}

const append = (messages: OutboxMessage[]) =>
  outbox.database.transaction((tx) => outbox.outbox.append(tx, messages));

const numbersOf = (key: string) =>
  seen.items
    .filter((message) => message.key === key)
    .map(({ data }) => (data as { number: number }).number);

const firstOccurrences = (numbers: number[]) => [...new Set(numbers)];

it('publishes what was committed, as it was appended, and leaves no row behind', async () => {
  await append([event('run-1', 1)]);
  relay().start();
  const [message] = await seen.reaches(1);
  expect(message).toMatchObject({ key: 'run-1', subject: 'run-1', data: { number: 1 } });
  await eventually(outbox.rows, (rows) => rows === 0);
});

it('asks for the word of every replica in sync', async () => {
  // One broker answers alike whatever it is asked for: so that is looked at on its way to it.
  const asked: unknown[] = [];
  const newClient = (...args: Parameters<KafkaConnection['newClient']>) => {
    const client = kafka.kafka.newClient(...args);
    const producer: typeof client.producer = (config) => {
      const made = client.producer(config);
      const sendBatch: typeof made.sendBatch = (batch) => {
        asked.push(batch.acks);
        return made.sendBatch(batch);
      };
      return { ...made, sendBatch };
    };
    return { ...client, producer };
  };
  const get = (target: KafkaConnection, property: string | symbol): unknown =>
    property === 'newClient' ? newClient : Reflect.get(target, property);
  relay({ kafka: new Proxy(kafka.kafka, { get }) }).start();
  await append([event('run-1', 1)]);
  await seen.reaches(1);
  expect(asked).toEqual([-1]);
});

it('publishes nothing of a transaction that rolled back', async () => {
  relay().start();
  await expect(
    outbox.database.transaction(async (tx) => {
      outbox.outbox.append(tx, [event('run-1', 1)]);
      await tx.query('SELECT 1'); // it has been written
      throw new Error('changed my mind');
    }),
  ).rejects.toThrow('changed my mind');
  await append([event('run-1', 2)]);
  await seen.reaches(1);
  expect(numbersOf('run-1')).toEqual([2]);
});

it('keeps the order of each key over many transactions and batches', async () => {
  relay().start();
  const keys = Array.from({ length: 20 }, (_, index) => `run-${index}`);
  for (let number = 0; number < 60; number += 1) {
    await append(keys.map((key) => event(key, number)));
  }
  await seen.reaches(keys.length * 60);
  for (const key of keys) {
    expect(numbersOf(key)).toEqual(Array.from({ length: 60 }, (_, number) => number));
  }
});

it('finds a row whose transaction commits after higher numbers were published', async () => {
  const publisher = relay();
  publisher.start();
  const drawn = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const slow = outbox.database.transaction(async (tx) => {
    outbox.outbox.append(tx, [event('slow', 1)]);
    await tx.query('SELECT 1'); // behind it: its seq is drawn
    drawn.resolve();
    await release.promise;
  });
  await drawn.promise;
  await append([event('quick', 1)]);
  await seen.reaches(1);
  // Long enough for the read floor to be sampled several times while the lower seq is still uncommitted.
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  await append([event('quick', 2)]);
  await seen.reaches(2);
  release.resolve();
  await slow;
  await seen.reaches(3);
  expect(numbersOf('slow')).toEqual([1]);
});

it('repeats, and does not lose, what was acknowledged when it died before the delete', async () => {
  await append([event('run-1', 1), event('run-1', 2), event('run-2', 1)]);
  let deaths = 0;
  relay({
    signals: {
      afterAck: () => {
        deaths += 1;
        if (deaths === 1) throw new Error('killed between ack and delete');
      },
    },
  }).start();
  await seen.reaches(6);
  expect(firstOccurrences(numbersOf('run-1'))).toEqual([1, 2]);
  expect(new Set(seen.items.map(({ id }) => id)).size).toBe(3);
  await eventually(outbox.rows, (rows) => rows === 0);
});

it('lets only one of two relays lead, and the other take over when it ends', async () => {
  const [first, second] = [relay(), relay()];
  first.start();
  second.start();
  await eventually(
    () => [first, second].filter((each) => each.status().leading).length,
    (leaders) => leaders === 1,
  );
  await append([event('run-1', 1)]);
  await seen.reaches(1);
  const [leader, standby] = first.status().leading ? [first, second] : [second, first];
  expect(standby.status().published).toBe(0);
  await leader.stop();
  await append([event('run-1', 2)]);
  await seen.reaches(2);
  await eventually(
    () => standby.status(),
    ({ leading, published }) => leading && published === 1,
  );
});

it('deletes nothing for a leader that was replaced between ack and delete', async () => {
  await append([event('run-1', 1)]);
  const acked = Promise.withResolvers<void>();
  const replaced = Promise.withResolvers<void>();
  let round = 0;
  const old = relay({
    signals: {
      afterAck: async () => {
        round += 1;
        if (round > 1) return;
        acked.resolve();
        await replaced.promise;
      },
    },
  });
  old.start();
  await acked.promise;
  // Another took the lease, as after a pause of this process: the row has a new epoch.
  await outbox.database.query(
    `UPDATE ${SCHEMA}.leases SET holder = 'other', epoch = epoch + 1, until = now() + interval '1 s'`,
  );
  replaced.resolve();
  await eventually(
    () => old.status().failure ?? '',
    (failure) => failure.includes('RelayReplacedError'),
  );
  expect(await outbox.rows()).toBe(1);
});

it('sends nothing for a leader whose term was over before its send began', async () => {
  await append([event('run-1', 1)]);
  const sending = Promise.withResolvers<void>();
  const frozen = Promise.withResolvers<void>();
  const old = relay({
    signals: {
      beforeSend: () => {
        sending.resolve();
        return frozen.promise;
      },
    },
  });
  old.start();
  await sending.promise;
  await outbox.database.query(
    `UPDATE ${SCHEMA}.leases SET holder = 'other', epoch = epoch + 1, until = now() + interval '4 s'`,
  );
  await sleep(3_000); // its lease is over by its own clock, too
  frozen.resolve();
  await eventually(outbox.rows, (rows) => rows === 0); // it leads again, and sends
  await seen.reaches(1);
  await append([event('run-1', 2)]);
  await seen.reaches(2);
  expect(numbersOf('run-1')).toEqual([1, 2]); // nothing twice
});

it('carries a hint to the leader in another process', async () => {
  const notifications = () => new Notifications({ url: outbox.url });
  const [here, there] = [notifications(), notifications()];
  const hinted = new Collected<string>();
  there.listen(`holdfast_outbox_${SCHEMA}`, (payload) => hinted.add(payload));
  await hinted.reaches(1); // the one after each connect
  const leader = relay({ notifications: there });
  leader.start();
  await eventually(() => leader.status().leading, Boolean);
  const standby = relay({ notifications: here });
  standby.start();
  await append([event('run-1', 1)]);
  standby.hint();
  await hinted.reaches(2);
  await seen.reaches(1);
  await Promise.all(relays.splice(0).map((each) => each.stop()));
  await Promise.all([here.close(), there.close()]);
});

it('parks the key of a row that Kafka refuses for good, and goes on with the others', async () => {
  const text = 'x'.repeat(6_000);
  await append([
    event('bad', 1, { topic: SMALL_TOPIC }),
    event('bad', 2, { topic: SMALL_TOPIC, text }),
    event('bad', 3, { topic: SMALL_TOPIC }),
    event('good', 1, { topic: SMALL_TOPIC }),
    event('good', 2),
  ]);
  const publisher = relay();
  publisher.start();
  await seen.reaches(3);
  await append([event('bad', 4), event('good', 3)]);
  await eventually(
    () => new Set(numbersOf('good')).size,
    (count) => count === 3,
  );
  expect(firstOccurrences(numbersOf('bad'))).toEqual([1]);
  const waiting = await eventually(
    () => publisher.backlog(),
    ({ pending }) => pending === 0, // a row is seen before it is deleted
  );
  expect(waiting.parked).toBe(3);
  const { rows } = await outbox.database.query(
    `SELECT parked_reason FROM ${SCHEMA}.outbox WHERE parked_at IS NOT NULL`,
  );
  expect(rows).toEqual([{ parked_reason: 'MESSAGE_TOO_LARGE' }]);
});

it('sends a parked key again in its order once support has mended the cause', async () => {
  const text = 'x'.repeat(6_000);
  await append([
    event('bad', 1, { topic: SMALL_TOPIC, text }),
    event('bad', 2, { topic: SMALL_TOPIC }),
  ]);
  const publisher = relay();
  publisher.start();
  await eventually(
    () => publisher.status().refused,
    (refused) => refused === 1,
  );
  await outbox.database.query(`UPDATE ${SCHEMA}.outbox SET topic = '${TOPIC}'`);
  const requeued = await outbox.database.transaction((tx) =>
    outbox.outbox.requeueParked(tx, 'bad'),
  );
  expect(requeued).toBe(2);
  await seen.reaches(2);
  expect(numbersOf('bad')).toEqual([1, 2]);
});

it('refuses a message over the limit before anything is written', async () => {
  const tooLarge = event('run-1', 1, { text: 'x'.repeat(901 * 1024) });
  await expect(append([event('run-1', 0), tooLarge])).rejects.toBeInstanceOf(
    OutboxMessageTooLargeError,
  );
  expect(await outbox.rows()).toBe(0);
});

it('publishes 3 MB in batches of at most 512 KB', async () => {
  const sizes: number[] = [];
  await append(
    Array.from({ length: 30 }, (_, number) =>
      event(`run-${number}`, number, { text: 'x'.repeat(100_000) }),
    ),
  );
  relay({
    signals: {
      beforeSend: (rows) => void sizes.push(rows.reduce((sum, { body }) => sum + body.length, 0)),
    },
  }).start();
  await seen.reaches(30);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(512 * 1024);
});

it('publishes what is committed before it stops, when it is given the time', async () => {
  const publisher = relay();
  publisher.start();
  await eventually(() => publisher.status().leading, Boolean);
  await append(Array.from({ length: 1_200 }, (_, number) => event('run-1', number)));
  await publisher.stop({ flushMs: 10_000 });
  expect(await outbox.rows()).toBe(0);
  const { rows } = await outbox.database.query(
    `SELECT until <= now() AS free FROM ${SCHEMA}.leases`,
  );
  expect(rows).toEqual([{ free: true }]); // nobody has to wait for the lease to run out
});

it('publishes what is committed before it stops, also when it has lost its lease and nobody else has taken it', async () => {
  const publisher = relay();
  publisher.start();
  await eventually(() => publisher.status().leading, Boolean);
  await outbox.database.query(`UPDATE ${SCHEMA}.leases SET epoch = epoch + 1, until = now()`);
  await eventually(
    () => publisher.status().leading,
    (leading) => !leading,
  );
  await append([event('run-1', 1)]);
  await publisher.stop({ flushMs: 10_000 });
  expect(await outbox.rows()).toBe(0);
});

it('does not wait for anything when it stops while another leads', async () => {
  const [leader, standby] = [relay(), relay()];
  leader.start();
  await eventually(() => leader.status().leading, Boolean);
  standby.start();
  await append([event('run-1', 1)]);
  await standby.stop({ flushMs: 600_000 });
});

it('publishes what is committed before it stops, also while a read that came before is under way', async () => {
  const found = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const publisher = relay({
    database: afterEachQueryOfSessions(outbox.database, async (name, { rowCount }) => {
      if (name !== `${SCHEMA}.outbox.read` || rowCount > 0) return;
      found.resolve();
      await held.promise;
    }),
  });
  publisher.start();
  await found.promise; // nothing, and its answer is on the way
  await append([event('run-1', 1)]);
  const stopped = publisher.stop({ flushMs: 10_000 });
  held.resolve();
  await stopped;
  expect(await outbox.rows()).toBe(0);
});

/** The database with something that is awaited between Postgres's answer to a session and the session. */
function afterEachQueryOfSessions(
  database: Database,
  after: (name: string, answer: Rows<unknown>) => Promise<void>,
): Database {
  const watched = (sql: Sql): Sql => ({
    query: async <Row>(asked: string | Statement, values?: readonly unknown[]) => {
      const answer = await sql.query<Row>(asked, values);
      await after(typeof asked === 'string' ? asked : asked.name, answer);
      return answer;
    },
  });
  const session: Database['session'] = (work) => database.session((sql) => work(watched(sql)));
  return new Proxy(database, {
    get: (target, property) => {
      if (property === 'session') return session;
      const value: unknown = Reflect.get(target, property);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

describe('while an old snapshot keeps 20,000 dead rows from vacuum', () => {
  const dead = 20_000;
  let release: () => void;
  let report: Promise<void>;

  beforeEach(async () => {
    const released = Promise.withResolvers<void>();
    const snapshotTaken = Promise.withResolvers<void>();
    release = released.resolve;
    report = outbox.database.transaction(async (tx) => {
      await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
      await tx.query('SET LOCAL idle_in_transaction_session_timeout = 0');
      await tx.query('SELECT 1');
      snapshotTaken.resolve();
      await released.promise;
    });
    await snapshotTaken.promise;
    await outbox.database.query(
      `INSERT INTO ${SCHEMA}.outbox (topic, key, headers, body, size_bytes)
       SELECT '${TOPIC}', 'k', '{}', '', 0 FROM generate_series(1, ${dead})`,
    );
    await outbox.database.query(`DELETE FROM ${SCHEMA}.outbox`);
  });
  afterEach(async () => {
    release();
    await report;
  });

  const entriesRead = async () => {
    const { rows } = await outbox.database.query<{ read: bigint }>(
      `SELECT idx_tup_read AS read FROM pg_stat_user_indexes WHERE indexrelname = 'outbox_pkey'`,
    );
    return Number(rows[0]?.read ?? 0n);
  };
  /** Server processes tell what they have read a second late. */
  const entriesReadIn2s = async () => {
    const before = await entriesRead();
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    return (await entriesRead()) - before;
  };

  it('a relay does not step over them for ever', async () => {
    relay().start();
    await eventually(entriesRead, (read) => read >= dead); // The first reads have to.
    // Ten polls a second: without a floor two seconds are 400,000 entries.
    await eventually(entriesReadIn2s, (read) => read < 2_000);
    await append([event('run-1', 1)]);
    await seen.reaches(1);
  });

  it('readiness does not either, in a process that stands by', async () => {
    const standby = relay();
    const entriesAsked = async () => {
      for (let times = 0; times < 5; times += 1) {
        expect(await standby.oldestMs()).toBe(0);
        expect(await standby.backlog()).toEqual({ pending: 0, parked: 0, oldestMs: 0 });
      }
      return entriesReadIn2s();
    };
    for (let times = 0; times < 2; times += 1) await entriesAsked(); // the first looks have to
    // The floor follows when whoever was writing anywhere on the server has ended: other specs hold transactions open, too.
    await eventually(entriesAsked, (read) => read < 2_000, 60_000);
  });
});

it('counts what is parked below its floor, and finds what is appended above it', async () => {
  const text = 'x'.repeat(6_000);
  const publisher = relay();
  publisher.start();
  await append([event('bad', 1, { topic: SMALL_TOPIC, text })]);
  await eventually(
    () => publisher.status().refused,
    (refused) => refused === 1,
  );
  await append([event('bad', 2), event('good', 1)]);
  await seen.reaches(1);
  await publisher.stop();
  const standby = relay();
  for (let times = 0; times < 5; times += 1) await standby.oldestMs();
  expect(await standby.backlog()).toMatchObject({ pending: 0, parked: 2 });
  await append([event('good', 2)]);
  expect(await standby.backlog()).toMatchObject({ pending: 1, parked: 2 });
  expect(await standby.oldestMs()).toBeGreaterThan(0);
});
