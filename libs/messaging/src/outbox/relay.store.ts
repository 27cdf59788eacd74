import { hotStatement, type Sql, statement, type Statement } from '#libs/postgres';
import type { OutboxHorizon } from './read-floor.js';

export interface OutboxRow {
  readonly seq: bigint;
  readonly topic: string;
  readonly key: string;
  /** JSON object of strings. */
  readonly headers: Buffer;
  readonly body: Buffer;
}

export interface OutboxBacklog {
  readonly pending: number;
  /** Refused rows and the ones behind them. */
  readonly parked: number;
  /** Age of the oldest row that is not parked; 0 when there is none. */
  readonly oldestMs: number;
}

/** What a relay reads and writes. `sql` is its session, with synchronous_commit off. */
export class RelayStore {
  private readonly statements: Record<
    'read' | 'remove' | 'park' | 'lastSeq' | 'ids' | 'backlog' | 'oldest',
    Statement
  >;

  constructor(schema: string) {
    const named = (name: string, text: string) => statement(`${schema}.outbox.${name}`, text);
    this.statements = {
      read: hotStatement(`${schema}.outbox.read`, readSql(schema)),
      remove: hotStatement(`${schema}.outbox.remove`, removeSql(schema)),
      park: named('park', parkSql(schema)),
      lastSeq: named('last_seq', lastSeqSql(schema)),
      ids: named('ids', IDS_SQL),
      backlog: named('backlog', backlogSql(schema)),
      oldest: named('oldest', oldestSql(schema)),
    };
  }

  /** The oldest rows above the floor, in order: up to both limits, but at least one. */
  async read(
    sql: Sql,
    { floor, maxRows, maxBytes }: { floor: bigint; maxRows: number; maxBytes: number },
  ): Promise<OutboxRow[]> {
    const { rows } = await sql.query<OutboxRow>(this.statements.read, [floor, maxRows, maxBytes]);
    return rows;
  }

  /** Deletes acknowledged rows for the leader of that epoch. Returns how many: none, if it has been replaced. */
  async remove(
    sql: Sql,
    seqs: readonly bigint[],
    lease: { name: string; epoch: bigint },
  ): Promise<number> {
    const { rowCount } = await sql.query(this.statements.remove, [seqs, lease.name, lease.epoch]);
    return rowCount;
  }

  async park(
    sql: Sql,
    { seq, reason }: { seq: bigint; reason: string },
    lease: { name: string; epoch: bigint },
  ): Promise<void> {
    await sql.query(this.statements.park, [seq, reason, lease.name, lease.epoch]);
  }

  /** Two statements, in this order (read-floor.ts, F2). */
  async horizon(sql: Sql): Promise<OutboxHorizon> {
    const last = await sql.query<{ last_seq: bigint }>(this.statements.lastSeq);
    const ids = await sql.query<{ oldest: bigint; next: bigint }>(this.statements.ids);
    const [seq, xid] = [last.rows[0], ids.rows[0]];
    if (!seq || !xid) throw new Error('The outbox horizon statements returned no row');
    return { lastSeq: seq.last_seq, oldestRunningXid: xid.oldest, nextXid: xid.next };
  }

  /** The oldest row above the floor that is not parked or behind a parked one. */
  async oldest(sql: Sql, floor: bigint): Promise<{ seq: bigint; waitedMs: number } | null> {
    const { rows } = await sql.query<{ seq: bigint; waitedMs: number }>(this.statements.oldest, [
      floor,
    ]);
    return rows[0] ?? null;
  }

  /** Nothing that can be sent is at or below the floor; what is parked may be. */
  async backlog(sql: Sql, floor: bigint): Promise<OutboxBacklog> {
    const { rows } = await sql.query<{ pending: bigint; parked: bigint; oldest_ms: number }>(
      this.statements.backlog,
      [floor],
    );
    const [row] = rows;
    return {
      pending: Number(row?.pending ?? 0),
      parked: Number(row?.parked ?? 0),
      oldestMs: Math.max(0, row?.oldest_ms ?? 0),
    };
  }
}

const MAX_COUNTED = 10_000;

/** A row is held back while an older row of its key is parked. */
const notHeldBack = (schema: string) => `o.parked_at IS NULL AND NOT EXISTS (
    SELECT FROM ${schema}.outbox p WHERE p.key = o.key AND p.parked_at IS NOT NULL AND p.seq < o.seq)`;

/** The byte limit is kept here and not in memory: 500 rows may be 450 MB. */
const readSql = (schema: string) => `
  SELECT seq, topic, key, headers, body FROM (
    SELECT *, sum(size_bytes) OVER (ORDER BY seq) AS running_bytes FROM (
      SELECT o.seq, o.topic, o.key, o.headers, o.body, o.size_bytes FROM ${schema}.outbox o
      WHERE o.seq > $1 AND ${notHeldBack(schema)}
      ORDER BY o.seq LIMIT $2
    ) oldest
  ) counted
  WHERE running_bytes <= $3 OR running_bytes = size_bytes
  ORDER BY seq`;

const leads = (schema: string, name: number, epoch: number) =>
  `EXISTS (SELECT FROM ${schema}.leases l WHERE l.name = $${name} AND l.epoch = $${epoch})`;

const removeSql = (schema: string) => `
  DELETE FROM ${schema}.outbox WHERE seq = ANY ($1::bigint[]) AND ${leads(schema, 2, 3)}`;

const parkSql = (schema: string) => `
  UPDATE ${schema}.outbox SET parked_at = clock_timestamp(), parked_reason = $2
  WHERE seq = $1 AND ${leads(schema, 3, 4)}`;

const lastSeqSql = (schema: string) => `
  SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END AS last_seq FROM ${schema}.outbox_order`;

const IDS_SQL = `
  SELECT pg_snapshot_xmin(snapshot)::text::bigint AS oldest, pg_snapshot_xmax(snapshot)::text::bigint AS next
  FROM pg_current_snapshot() snapshot`;

/** By the primary key: its cost does not grow with the rows that wait. */
const oldestSql = (schema: string) => `
  SELECT o.seq, (extract(epoch FROM clock_timestamp() - o.appended_at) * 1000)::float8 AS "waitedMs"
  FROM ${schema}.outbox o WHERE o.seq > $1 AND ${notHeldBack(schema)} ORDER BY o.seq LIMIT 1`;

/**
 * From the floor on, or from the first parked row: what is held back stands behind one. `+ 0`: the first of all parked rows would
 * else, by the mood of the planner, be looked for along the primary key, over all that is dead.
 */
const backlogSql = (schema: string) => `
  SELECT count(*) FILTER (WHERE sendable) AS pending, count(*) FILTER (WHERE NOT sendable) AS parked,
    (extract(epoch FROM clock_timestamp() - min(appended_at) FILTER (WHERE sendable)) * 1000)::float8 AS oldest_ms
  FROM (
    SELECT o.appended_at, ${notHeldBack(schema)} AS sendable FROM ${schema}.outbox o
    WHERE o.seq > least($1::bigint, (SELECT min(p.seq + 0) - 1 FROM ${schema}.outbox p WHERE p.parked_at IS NOT NULL))
    ORDER BY o.seq LIMIT ${MAX_COUNTED}
  ) rows`;
