/**
 * Brings outbox rows to Kafka. Any number of processes run one; one of them leads, the others stand by.
 *
 * (R1) A row exists until Kafka (acks = all) has it: DELETE only after the acknowledgement. A crash between the two repeats
 *      rows, and loses none.
 * (R2) Rows are read oldest first, and one send is in flight: with `seq` drawn after the row lock, a key's first
 *      occurrences on the topic are in the order of their commits.
 * (R3) One leader: lease row with epoch, renewed by the database's clock; before each send the monotonic clock is asked, and
 *      DELETE carries the epoch. This bounds repeats; order does not rest on it.
 * (R4) DELETE runs with synchronous_commit off: one that Postgres forgets in a crash only repeats rows.
 * (R5) A row that Kafka refuses for good is parked, and its key's later rows wait behind it; other keys go on.
 * (R6) Everything else that fails is tried again from the oldest row, with a growing pause, for as long as it leads.
 * (R7) Woken by a hint in this process, by NOTIFY from others (sent outside of business transactions), and by a poll every
 *      100 ms: hints may be lost.
 * (R8) Whoever asks for what is committed to be published first is answered by a read that began after he asked: one that was
 *      under way then may not see it.
 */
import { pauseAt } from '#libs/pause-points';
import {
  LeaderLease,
  type Database,
  type Notifications,
  type Sql,
  type Term,
} from '#libs/postgres';
import type { KafkaConnection } from '../kafka/kafka-connection.js';
import { wordsOf, type FieldLog } from '#libs/process';
import { pause, within } from '../pause.js';
import { OutboxLookout } from './outbox-lookout.js';
import { ReadFloor } from './read-floor.js';
import { RelayProducer } from './relay-producer.js';
import { RelayStore, type OutboxBacklog, type OutboxRow } from './relay.store.js';
import { sendInOrder } from './send-in-order.js';
import { isRefusal, refusalOf } from './send-refusal.js';
import { Wakeup } from './wakeup.js';

const MAX_ROWS = 500;
const MAX_BYTES = 512 * 1024;
const POLL_MS = 100;
/** The read floor follows by two of these: under a held snapshot a read steps over so much that is dead. */
const SAMPLE_HORIZON_EVERY_MS = 200;
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 2_000;
const LEASE_NAME = 'outbox-relay';

export interface OutboxRelayOptions {
  readonly database: Database;
  readonly schema: string;
  readonly kafka: KafkaConnection;
  /** Unique per process. */
  readonly holder: string;
  readonly log: FieldLog;
  /** Carries hints to the leader in another process. Off: the leader finds those rows by its poll. */
  readonly notifications?: Notifications;
  /** For specs: awaited at the points where a crash would matter. */
  readonly signals?: RelaySignals;
}

export interface RelaySignals {
  beforeSend?(rows: readonly OutboxRow[]): void | Promise<void>;
  /** Kafka has the rows, the outbox still has them too. */
  afterAck?(rows: readonly OutboxRow[]): void | Promise<void>;
}

export interface RelayStatus {
  readonly leading: boolean;
  readonly epoch: bigint | null;
  /** Rows acknowledged by Kafka since the start of this process. */
  readonly published: number;
  /** Rows parked by this process. */
  readonly refused: number;
  /** Why the last round failed; null once one has gone through. */
  readonly failure: string | null;
}

/** The lease has a new epoch: this leader's acknowledged rows stay for the next one to publish again. */
export class RelayReplacedError extends Error {
  override readonly name = 'RelayReplacedError';
  readonly code = 'relay_replaced';
  constructor(epoch: bigint) {
    super(`Another relay leads; the term with epoch ${epoch} is over`);
  }
}

export class OutboxRelay {
  private readonly store: RelayStore;
  private readonly lookout: OutboxLookout;
  private readonly producer: RelayProducer;
  private readonly lease: LeaderLease;
  private readonly wakeup = new Wakeup();
  private readonly stopping = new AbortController();
  private readonly channel: string;
  private term: Term | null = null;
  private running: Promise<void> | null = null;
  private onDrained: (() => void) | null = null;
  private published = 0;
  private refused = 0;
  private failures = 0;
  private failure: string | null = null;

  constructor(private readonly options: OutboxRelayOptions) {
    const { schema, database, holder, log } = options;
    this.store = new RelayStore(schema);
    this.lookout = new OutboxLookout(this.store, database);
    this.producer = new RelayProducer(options.kafka);
    this.channel = `holdfast_outbox_${schema}`;
    this.lease = new LeaderLease({
      sql: database,
      schema,
      name: LEASE_NAME,
      holder,
      leaseMs: 3_000,
      renewMs: 1_000,
      onError: (error) => log.warn({ error }, 'the relay lost its lease or could not seek it'),
    });
  }

  start(): void {
    if (this.running) return;
    this.options.notifications?.listen(this.channel, () => this.wakeup.hint());
    this.running = this.seekLeadership();
  }

  /** Rows were committed: call it after the commit, as often as you like. */
  hint(): void {
    if (this.term) this.wakeup.hint();
    else this.options.notifications?.notify(this.channel);
  }

  /** Ends the term and frees the lease. Until `flushMs` have passed, what is committed is published first, unless another leads. */
  async stop({ flushMs = 0 }: { flushMs?: number } = {}): Promise<void> {
    if (this.running && flushMs > 0) await within(flushMs, this.flushed());
    this.stopping.abort();
    await this.running;
    await this.producer.close();
  }

  status(): RelayStatus {
    const { term, published, refused, failure } = this;
    return { leading: term !== null, epoch: term?.epoch ?? null, published, refused, failure };
  }

  /** Counts what waits, whoever leads, among the oldest 10,000 rows. For metrics. */
  backlog(): Promise<OutboxBacklog> {
    return this.lookout.backlog();
  }

  /** How long the oldest message has waited, whoever leads; 0 when there is none. */
  oldestMs(): Promise<number> {
    return this.lookout.oldestMs();
  }

  /** A leader that has just lost its lease, on a busy machine, has it again in a second where nobody else took it. */
  private async flushed(): Promise<void> {
    if (this.term || !(await this.anotherLeads())) await this.drained();
  }

  private async anotherLeads(): Promise<boolean> {
    try {
      return await this.lease.isAnothers();
    } catch {
      return true; // Postgres is away: nothing can be published
    }
  }

  private drained(): Promise<void> {
    return new Promise((resolve) => {
      this.onDrained = resolve;
      this.wakeup.hint();
    });
  }

  private async seekLeadership(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      try {
        await this.lease.run((term) => this.lead(term), signal);
      } catch (error) {
        this.options.log.error({ error }, 'the relay failed: it seeks the lease again');
        await pause(MAX_RETRY_MS, signal);
      }
    }
  }

  private async lead(term: Term): Promise<void> {
    this.term = term;
    this.options.log.info({ epoch: term.epoch, schema: this.options.schema }, 'relay leads');
    try {
      while (!term.signal.aborted) {
        await this.options.database
          .session((sql) => this.publish(sql, term))
          .catch((error: unknown) => this.backOff(error, term)); // (R6)
      }
    } finally {
      this.term = null;
      this.failure = null; // from now on it is the next leader's to tell
    }
  }

  private async backOff(error: unknown, term: Term): Promise<void> {
    if (term.signal.aborted) return;
    this.failures += 1;
    this.failure = wordsOf(error);
    this.options.log.error({ error, failures: this.failures }, 'publishing failed: trying again');
    const ceilingMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.failures - 1, 10));
    await pause(ceilingMs * (0.5 + Math.random() / 2), term.signal);
  }

  private async publish(sql: Sql, term: Term): Promise<void> {
    await sql.query('SET synchronous_commit = off'); // (R4)
    const floor = new ReadFloor();
    let sampledAtMs = -Infinity;
    while (!term.signal.aborted) {
      if (performance.now() - sampledAtMs >= SAMPLE_HORIZON_EVERY_MS) {
        sampledAtMs = performance.now();
        floor.sampled(await this.store.horizon(sql));
      }
      const onDrained = this.onDrained; // (R8)
      const rows = await this.store.read(sql, {
        floor: floor.seq,
        maxRows: MAX_ROWS,
        maxBytes: MAX_BYTES,
      });
      floor.read(rows[0]?.seq ?? null);
      if (rows.length > 0) {
        await this.publishRows(sql, rows, term);
        if (this.onDrained || mayLeaveMore(rows)) continue;
      } else {
        onDrained?.();
      }
      await this.wakeup.wait(POLL_MS, term.signal); // (R7)
      this.failures = 0;
      this.failure = null;
    }
  }

  private async publishRows(sql: Sql, rows: readonly OutboxRow[], term: Term): Promise<void> {
    const outcome = await sendInOrder(rows, (chunk) => this.send(chunk, term), isRefusal);
    const lease = { name: LEASE_NAME, epoch: term.epoch };
    if (outcome.acked.length > 0) {
      this.published += outcome.acked.length;
      await this.options.signals?.afterAck?.(outcome.acked);
      pauseAt('relay.after-ack');
      const seqs = outcome.acked.map(({ seq }) => seq);
      const removed = await this.store.remove(sql, seqs, lease); // (R1)
      if (removed === 0) throw new RelayReplacedError(term.epoch);
    }
    for (const { row, error } of outcome.refused) {
      const reason = refusalOf(error) ?? error.name;
      await this.store.park(sql, { seq: row.seq, reason }, lease); // (R5)
      this.refused += 1;
      const { topic, key, seq } = row;
      this.options.log.error(
        { topic, key, seq, reason },
        'Kafka refused a row for good: its key is parked',
      );
    }
    if (outcome.failure) throw outcome.failure;
  }

  private async send(rows: readonly OutboxRow[], term: Term): Promise<void> {
    await this.options.signals?.beforeSend?.(rows);
    pauseAt('relay.before-send');
    if (term.signal.aborted || !term.isAlive()) throw new RelayReplacedError(term.epoch); // (R3)
    await this.producer.send(rows); // (R2)
  }
}

/** A read that a limit has cut short. Where one great row is left behind a few small ones, the poll finds it. */
function mayLeaveMore(rows: readonly OutboxRow[]): boolean {
  const bytes = rows.reduce((sum, { headers, body }) => sum + headers.length + body.length, 0);
  return rows.length === MAX_ROWS || bytes > MAX_BYTES / 8;
}
