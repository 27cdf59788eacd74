/**
 * A pool of Postgres connections that survives what happens to Postgres.
 *
 * (D1) No error of a connection, new, idle or busy, reaches the process unhandled: the pool and every connection have an
 *      'error' listener. Without it a restart of Postgres kills the process.
 * (D2) A connection that failed with a connection-class error is destroyed; any other error leaves it usable.
 * (D3) A transaction ends in exactly one of: committed (resolved), not happened (rejected), or
 *      CommitOutcomeUnknownError. A COMMIT that Postgres answered with ROLLBACK is not taken for success.
 * (D4) A session's connection is destroyed at its end, so that no setting of it (synchronous_commit = off)
 *      reaches the next in the pool.
 * (D5) Every wait has an end: for a connection, for a statement (by the server, and by us if the server is
 *      silent), and for a transaction whose process has been paused.
 * (D6) A hot statement is planned once per connection, for all values; any other each time, for what its tables hold by then. A plan
 *      that is kept from a time when a table was empty may read all of it later: hot statements are written so that theirs can not.
 * (D7) Statements whose answer nobody needs before the next one travel with it: BEGIN with the first, what is only sent with
 *      COMMIT. One that fails takes the transaction with it: Postgres answers the COMMIT with ROLLBACK.
 */
import pg from 'pg';
import { columnTypes } from './column-types.js';
import {
  CommitOutcomeUnknownError,
  isConnectionSpoiled,
  TransactionEndedError,
  TransactionRolledBackError,
} from './postgres-errors.js';
import type { Rows, Sql, Statement, Tx } from './sql.js';

export interface DatabaseOptions {
  readonly url: string;
  /** What `pg_stat_activity` shows. */
  readonly applicationName: string;
  /** Default 10. A session holds one for as long as it lasts. */
  readonly maxConnections?: number;
  /** How long a statement may run before Postgres cancels it. Default 30,000; 0: for ever. */
  readonly statementTimeoutMs?: number;
  /** How much longer than that we wait for a server that does not answer at all. Default 5,000. */
  readonly silenceMs?: number;
  /** How long to wait for a connection, new or free. Default 10,000. */
  readonly connectTimeoutMs?: number;
  /** Told of every connection lost while idle; for the log. Default: nobody. */
  readonly onError?: (error: Error) => void;
}

/** A transaction that runs no statement for so long belongs to a process that is paused: its locks are freed. */
const IDLE_IN_TRANSACTION_MS = 15_000;

/**
 * Our statements find their rows by index: a plan that is made while a table is empty reads it from end to end, and goes on doing so
 * when it holds a hundred thousand rows, so such plans are taken out of the choice. JIT costs more than it saves here.
 */
export const PLANNER_OPTIONS = '-c enable_seqscan=off -c jit=off';

export class Database implements Sql {
  private readonly pool: pg.Pool;
  private closing: Promise<void> | null = null;
  /** How each connection plans at the moment; absent: not known (D6). */
  private readonly planning = new WeakMap<pg.PoolClient, Statement['planned']>();

  constructor(options: DatabaseOptions) {
    const statementTimeoutMs = options.statementTimeoutMs ?? 30_000;
    this.pool = new pg.Pool({
      connectionString: options.url,
      application_name: options.applicationName,
      max: options.maxConnections ?? 10,
      types: columnTypes,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      options: PLANNER_OPTIONS,
      pipeline: true, // (D7)
      connectionTimeoutMillis: options.connectTimeoutMs ?? 10_000,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
      ...(statementTimeoutMs > 0 && {
        statement_timeout: statementTimeoutMs,
        query_timeout: statementTimeoutMs + (options.silenceMs ?? 5_000),
      }),
    });
    this.pool.on('error', (error) => options.onError?.(error)); // (D1)
    // The pool takes its own listener away before we can put ours: an error that came with the last word of the greeting lies between.
    this.pool.on('connect', (client) => client.on('error', () => undefined)); // (D1)
  }

  /** One statement on a connection of its own: it commits by itself. */
  async query<Row = Record<string, unknown>>(
    statement: string | Statement,
    values?: readonly unknown[],
  ): Promise<Rows<Row>> {
    return this.lend('reuse', (sql) => sql.query<Row>(statement, values));
  }

  /**
   * BEGIN, the work, COMMIT; ROLLBACK if the work throws, and its error rises. Read committed.
   * @throws CommitOutcomeUnknownError, TransactionRolledBackError, what a statement failed with that was only sent, and whatever
   *   the work throws
   */
  async transaction<T>(work: (tx: Tx) => T | Promise<T>): Promise<T> {
    return this.lend('reuse', async (connection) => {
      const tx = new OpenTransaction(connection);
      let result: T;
      try {
        tx.send('BEGIN');
        result = await work(tx);
      } catch (error) {
        tx.end();
        await rollBack(connection);
        throw (await tx.failure()) ?? error;
      }
      tx.end();
      await commit(connection, tx); // (D3)
      return result;
    });
  }

  /** One connection held for a while, for settings of its own. It is destroyed afterwards (D4). */
  async session<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.lend('destroy', work);
  }

  /** Waits for what is running, then closes every connection. Statements after it are refused. */
  close(): Promise<void> {
    this.closing ??= this.pool.end();
    return this.closing;
  }

  private async lend<T>(
    afterwards: 'reuse' | 'destroy',
    work: (connection: LentConnection) => Promise<T>,
  ): Promise<T> {
    const client = await this.pool.connect();
    const connection = new LentConnection(client, this.planning);
    const onLost = () => (connection.spoiled = true); // (D1) the statement it runs is rejected by pg itself
    client.on('error', onLost);
    try {
      return await work(connection);
    } finally {
      connection.end();
      client.release(afterwards === 'destroy' || !connection.reusable); // (D2), (D4)
      client.off('error', onLost);
    }
  }
}

/** One client of the pool, while it is lent: it notes what has become of it. */
class LentConnection implements Sql {
  spoiled = false;
  private ended = false;

  constructor(
    private readonly client: pg.PoolClient,
    private readonly planning: WeakMap<pg.PoolClient, Statement['planned']>,
  ) {}

  async query<Row = Record<string, unknown>>(
    statement: string | Statement,
    values?: readonly unknown[],
  ): Promise<Rows<Row>> {
    const { rows, rowCount } = await this.run(statement, values);
    return { rows: rows as Row[], rowCount: rowCount ?? 0 };
  }

  async run(
    statement: string | Statement,
    values: readonly unknown[] = [],
  ): Promise<pg.QueryResult> {
    if (this.ended) throw new TransactionEndedError();
    const { text, name, planned } = typeof statement === 'string' ? unnamed(statement) : statement;
    if (values.length > 0) this.planAs(planned);
    try {
      return await this.client.query({ text, name, values: values as unknown[] });
    } catch (error) {
      this.forgetPlanning();
      if (isConnectionSpoiled(error)) this.spoiled = true;
      throw error;
    }
  }

  /** (D6) Travels with the statement that it is for. */
  private planAs(planned: Statement['planned']): void {
    if (this.planning.get(this.client) === planned) return;
    this.planning.set(this.client, planned);
    const mode = planned === 'once' ? 'force_generic_plan' : 'force_custom_plan';
    this.client.query(`SET plan_cache_mode = ${mode}`).catch(() => undefined); // the statement fails, too
  }

  /** What it was set to in a transaction is undone with it. */
  forgetPlanning(): void {
    this.planning.delete(this.client);
  }

  /** A transaction left open (a ROLLBACK that failed) must not be inherited by the next in the pool. */
  get reusable(): boolean {
    return !this.spoiled && this.client.getTransactionStatus() === 'I';
  }

  end(): void {
    this.ended = true;
  }
}

function unnamed(text: string) {
  return { text, name: undefined, planned: 'each_time' } as const;
}

class OpenTransaction implements Tx {
  readonly tx = true;
  private readonly sent: Promise<unknown>[] = [];
  private ended = false;

  constructor(private readonly connection: LentConnection) {}

  async query<Row = Record<string, unknown>>(
    statement: string | Statement,
    values?: readonly unknown[],
  ): Promise<Rows<Row>> {
    if (this.ended) throw new TransactionEndedError();
    return this.connection.query<Row>(statement, values);
  }

  send(statement: string | Statement, values?: readonly unknown[]): void {
    if (this.ended) throw new TransactionEndedError();
    const answer = this.connection.run(statement, values);
    answer.catch(() => undefined); // told by failure()
    this.sent.push(answer);
  }

  end(): void {
    this.ended = true;
  }

  /** Of the statements that were only sent: what Postgres refused the first with. What came after it failed because of it. */
  async failure(): Promise<Error | null> {
    for (const answer of await Promise.allSettled(this.sent)) {
      if (answer.status === 'fulfilled' || isConnectionSpoiled(answer.reason)) continue;
      return answer.reason as Error;
    }
    return null;
  }
}

async function commit(connection: LentConnection, tx: OpenTransaction): Promise<void> {
  let answer: pg.QueryResult | null = null;
  let lost: unknown = null;
  try {
    answer = await connection.run('COMMIT');
  } catch (error) {
    // An error that Postgres answered with (a deferred constraint) says "not happened"; a lost answer says nothing.
    lost = isConnectionSpoiled(error) ? new CommitOutcomeUnknownError(error) : error;
  }
  const failure = await tx.failure();
  if (failure !== null) throw failure;
  if (lost !== null) throw lost as Error;
  if (answer?.command === 'ROLLBACK') throw new TransactionRolledBackError();
}

/** Where ROLLBACK itself fails the connection is destroyed, and Postgres rolls back: the work's error matters more. */
async function rollBack(connection: LentConnection): Promise<void> {
  connection.forgetPlanning();
  try {
    await connection.run('ROLLBACK');
  } catch {
    connection.spoiled = true;
  }
}
