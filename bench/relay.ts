/**
 * `npm run bench:relay [-- --minutes 10 --rate 500]`: what the relay's read costs while a snapshot is held open, as a backup or a
 * long report holds one, and keeps every deleted row from vacuum. Real: Postgres (flushing to disk), Kafka, Outbox, OutboxRelay.
 */
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { listenForInterruption } from '../dev/stack/interruption.js';
import { startStack } from '../dev/stack/start-stack.js';
import { Supervisor } from '../dev/stack/supervisor.js';
import {
  createTopics,
  KafkaConnection,
  Outbox,
  outboxTableSql,
  OutboxRelay,
  silentLog,
} from '../libs/messaging/src/index.js';
import { Database, uuidv7 } from '../libs/postgres/src/index.js';
import { numberAfter } from './number-after.js';
import { percentiles } from './percentiles.js';
import { TimedDatabase } from './timed-database.js';

const SCHEMA = 'bench';
const TOPIC = 'bench.relay.v1';
/** As many as of a busy processor: the rows of one transaction. */
const ROWS_PER_COMMIT = 10;
const KEYS = 1_000;
const MINUTE_MS = 60_000;
/** As whatever runs a process asks for its readiness. */
const PROBE_EVERY_MS = 10_000;
/** A new leader begins at the first dead row; its read floor has risen long before the end of these. */
const FIRST_READS_MS = 5_000;

const FACTS = `
  SELECT t.n_dead_tup AS "deadRows", i.idx_tup_read AS "entriesRead"
  FROM pg_stat_user_tables t JOIN pg_stat_user_indexes i USING (relid)
  WHERE t.relname = 'outbox' AND i.indexrelname = 'outbox_pkey'`;

const minutes = numberAfter('--minutes', 10);
const rate = numberAfter('--rate', 500);
const log = (line: string) => console.log(line);
const signal = listenForInterruption(log);
const folder = await mkdtemp(join(tmpdir(), 'holdfast-relay-'));
await chmod(folder, 0o711); // started by root, Postgres runs as another user, who must get in
const supervisor = await Supervisor.open(folder, log);
supervisor.removeInTheEnd(folder);
try {
  const { databaseUrl, kafkaBrokers } = await startStack({
    ...{ supervisor, log, signal, throwAway: false, dataFolder: folder, given: {} },
    logFolder: join(folder, 'logs'),
    ports: { postgres: { kind: 'any' }, kafka: { kind: 'any' } },
  });
  await measureReads(databaseUrl, kafkaBrokers.split(','));
} finally {
  await supervisor.close();
}
process.exit(0);

async function measureReads(url: string, brokers: readonly string[]): Promise<void> {
  const database = new Database({ url, applicationName: 'bench', statementTimeoutMs: 0 });
  await database.query(`CREATE SCHEMA ${SCHEMA}`);
  await database.query(outboxTableSql(SCHEMA));
  const kafka = new KafkaConnection({ brokers, clientId: 'bench', log: silentLog });
  await createTopics(kafka, [{ name: TOPIC, partitions: 12, retentionMs: MINUTE_MS * 60 }]);
  const relayOf = (holder: string) => {
    const timed = new TimedDatabase({ url, applicationName: holder }, `${SCHEMA}.outbox.read`);
    const log = silentLog;
    return {
      timed,
      relay: new OutboxRelay({ database: timed, schema: SCHEMA, kafka, holder, log }),
    };
  };
  const [leader, standby] = [relayOf('leader'), relayOf('standby')];
  leader.relay.start();
  const report = (when: string, { timed }: typeof leader, forMs: number) =>
    reportReads(when, database, timed, standby.relay, forMs);
  await heldSnapshot(database, async () => {
    log(`A snapshot is open. ${rate} rows/s, for ${minutes} minutes; milliseconds per read:`);
    const probing = setInterval(() => void standby.relay.oldestMs(), PROBE_EVERY_MS);
    await whileAppending(database, leader.relay, async () => {
      for (let minute = 1; minute <= minutes; minute += 1)
        await report(`minute ${minute}`, leader, MINUTE_MS);
      await leader.relay.stop();
      standby.relay.start();
      await report('a new leader’s first 5 s', standby, FIRST_READS_MS);
      await report('and its next 10 s', standby, MINUTE_MS / 6);
    });
    clearInterval(probing);
    await standby.relay.stop({ flushMs: MINUTE_MS });
    log(`left in the outbox: ${(await standby.relay.backlog()).pending}`);
  });
}

/** REPEATABLE READ, read only, idle: it would be ended after 15 s, were that not switched off for it. */
async function heldSnapshot(database: Database, work: () => Promise<void>): Promise<void> {
  await database.session(async (sql) => {
    await sql.query('SET idle_in_transaction_session_timeout = 0');
    await sql.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await sql.query(`SELECT count(*) FROM ${SCHEMA}.outbox`);
    await work();
    await sql.query('COMMIT');
  });
}

/** At the rate, whatever a single commit takes, until the work is done. */
async function whileAppending(
  database: Database,
  relay: OutboxRelay,
  work: () => Promise<void>,
): Promise<void> {
  const done = new AbortController();
  const appending = append(database, relay, done.signal);
  try {
    await Promise.race([work(), appending]);
  } finally {
    done.abort();
    await appending;
  }
}

async function append(database: Database, relay: OutboxRelay, done: AbortSignal): Promise<void> {
  const outbox = new Outbox({ schema: SCHEMA, source: '/bench' });
  const startedAtMs = performance.now();
  for (let rows = 0; !done.aborted; rows += ROWS_PER_COMMIT) {
    const dueMs = startedAtMs + (rows / rate) * 1_000;
    await sleep(Math.max(0, dueMs - performance.now()));
    const from = rows;
    const messages = Array.from({ length: ROWS_PER_COMMIT }, (_, index) => messageOf(from + index));
    await database.transaction((tx) => outbox.append(tx, messages));
    relay.hint();
  }
}

/** About as large as an event of a run. */
function messageOf(number: number) {
  const key = `run-${number % KEYS}`;
  const data = { number, text: 'x'.repeat(600) };
  const type = 'dev.holdfast.bench.happened.v1';
  return {
    topic: TOPIC,
    message: { id: uuidv7(), type, subject: key, key, time: new Date(), data },
  };
}

interface OutboxFacts {
  readonly deadRows: bigint;
  readonly entriesRead: bigint;
}

async function outboxFacts(database: Database): Promise<OutboxFacts> {
  const { rows } = await database.query<OutboxFacts>(FACTS);
  return rows[0]!;
}

/** What the reads of the next while have cost, and what the standby's process answers a probe then. */
async function reportReads(
  when: string,
  database: Database,
  timed: TimedDatabase,
  standby: OutboxRelay,
  forMs: number,
): Promise<void> {
  const before = await outboxFacts(database);
  timed.take();
  await sleep(forMs, undefined, { signal });
  const reads = timed.take();
  const { deadRows, entriesRead } = await outboxFacts(database);
  const { p50, p99, max } = percentiles(reads);
  const entries = Number(entriesRead - before.entriesRead) / Math.max(1, reads.length);
  const askedAtMs = performance.now();
  await standby.oldestMs();
  const probeMs = performance.now() - askedAtMs;
  const { pending } = await standby.backlog();
  log(
    `${when}: ${reads.length} reads, p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)}, longest ${max.toFixed(1)}; ` +
      `${entries.toFixed(0)} index entries per read and its delete; ${deadRows} dead rows, ${pending} waiting; ` +
      `the oldest row for /readyz of a standby ${probeMs.toFixed(1)}`,
  );
}
