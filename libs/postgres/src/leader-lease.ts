/**
 * One leader among processes that share a database: a lease row with an epoch, and the others on hot standby.
 *
 * (L1) Lease times are the database's clock alone: taken and renewed by its now(), over only when its now() says so.
 * (L2) The epoch grows with each term. Whoever leads puts it into the WHERE of what it writes: that, not the
 *      clock, is what a leader that was replaced cannot get past.
 * (L3) The leader stops itself: its signal is aborted once the last renewal that succeeded was sent more than
 *      leaseMs − marginMs ago by the monotonic clock, whatever the database and the network do. So in the
 *      ordinary case the old leader has stopped before the next one starts.
 * (L4) At most one `lead` runs per `run`: the next term is sought after the last one's `lead` has returned.
 * (L5) An ended term frees its row, so that the standby need not wait; a row that could not be freed runs out,
 *      and is not waited for longer than that. Freed is -infinity: a renewal still under way finds it over.
 * (L6) A stop is not held up by a database that is silent: nobody waits for an answer that changes nothing.
 */
import { pause } from './pause.js';
import { isTransientError } from './postgres-errors.js';
import { type Sql, type Statement, statement } from './sql.js';
import { TermClock } from './term-clock.js';

export interface LeaderLeaseOptions {
  readonly sql: Sql;
  /** Where the `leases` table is (see `leasesTableSql`). */
  readonly schema: string;
  /** What is led: one row per name. */
  readonly name: string;
  /** Unique per process and start, e.g. host, pid and a random part. */
  readonly holder: string;
  /** Default 3,000. */
  readonly leaseMs?: number;
  /** Pause between renewals, and between a standby's tries. Default 1,000. */
  readonly renewMs?: number;
  /** How long before the lease ends the leader stops itself (L3). Default a sixth of leaseMs. */
  readonly marginMs?: number;
  /** Told of what ended a term or kept one from starting and heals alone; for the log. Default: nobody. */
  readonly onError?: (error: Error) => void;
}

export interface Term {
  readonly epoch: bigint;
  /** Aborted when the lease is lost or about to be, or when the caller of `run` wants to stop. */
  readonly signal: AbortSignal;
  /** Asks the monotonic clock now: true for a term whose lease still holds. For the moment after a long pause. */
  isAlive(): boolean;
}

/** Why a term's signal was aborted. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
  readonly code = 'lease_lost';
  constructor(lease: string, epoch: bigint, how: 'taken over' | 'not renewed in time') {
    super(`lease "${lease}", epoch ${epoch}: ${how}`);
  }
}

/** For the migration of the schema's owner. */
export function leasesTableSql(schema: string): string {
  return `CREATE TABLE ${schema}.leases (
    name text PRIMARY KEY,
    holder text NOT NULL,
    epoch bigint NOT NULL,
    until timestamptz NOT NULL
  )`;
}

export class LeaderLease {
  private readonly leaseMs: number;
  private readonly renewMs: number;
  private readonly marginMs: number;
  private readonly take: Statement;
  private readonly renew: Statement;
  private readonly free: Statement;
  private readonly anothers: Statement;

  constructor(private readonly options: LeaderLeaseOptions) {
    const { schema } = options;
    this.leaseMs = options.leaseMs ?? 3_000;
    this.renewMs = options.renewMs ?? 1_000;
    this.marginMs = options.marginMs ?? this.leaseMs / 6;
    if (this.renewMs + this.marginMs >= this.leaseMs) {
      throw new RangeError('a lease must outlast renewMs and marginMs together');
    }
    this.take = statement(
      `${schema}.leases.take`,
      `INSERT INTO ${schema}.leases AS lease (name, holder, epoch, until)
       VALUES ($1, $2, 1, now() + $3 * interval '1 ms')
       ON CONFLICT (name) DO UPDATE
         SET holder = excluded.holder, epoch = lease.epoch + 1, until = excluded.until
         WHERE lease.until <= now()
       RETURNING epoch`,
    );
    this.renew = statement(
      `${schema}.leases.renew`,
      `UPDATE ${schema}.leases SET until = now() + $4 * interval '1 ms'
       WHERE name = $1 AND holder = $2 AND epoch = $3 AND until > now()`,
    );
    this.free = statement(
      `${schema}.leases.free`,
      `UPDATE ${schema}.leases SET until = '-infinity' WHERE name = $1 AND holder = $2 AND epoch = $3`,
    );
    this.anothers = statement(
      `${schema}.leases.anothers`,
      `SELECT FROM ${schema}.leases WHERE name = $1 AND holder <> $2 AND until > now()`,
    );
  }

  /**
   * Seeks the lease and runs `lead` for each term, until `signal` is aborted; then resolves, once `lead` has
   * returned. A `lead` that returns, or fails with a transient error, ends its term only.
   * @throws what `lead` or the database throws and time does not heal
   */
  async run(lead: (term: Term) => Promise<void>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const sentAt = performance.now();
        const epoch = await orAborted(this.tryTake(signal), signal); // (L6)
        if (epoch !== null) await this.serve(lead, epoch, sentAt, signal);
      } catch (error) {
        if (!isTransientError(error) && !(error instanceof LeaseLostError)) throw error;
        this.options.onError?.(error as Error);
      }
      await pause(this.renewMs * (0.75 + Math.random() / 2), signal);
    }
  }

  /** Whether somebody else holds the lease at this moment: if not, it is ours, or the next try of whoever seeks it. */
  async isAnothers(): Promise<boolean> {
    const { name, holder, sql } = this.options;
    return (await sql.query(this.anothers, [name, holder])).rowCount > 0;
  }

  private async tryTake(stop: AbortSignal): Promise<bigint | null> {
    const { name, holder, sql } = this.options;
    const { rows } = await sql.query<{ epoch: bigint }>(this.take, [name, holder, this.leaseMs]);
    const epoch = rows[0]?.epoch ?? null;
    if (epoch !== null && stop.aborted) await this.tryFree(epoch); // nobody waits for this answer any more
    return epoch;
  }

  /** One term, from the lease taken to the lease freed. */
  private async serve(
    lead: (term: Term) => Promise<void>,
    epoch: bigint,
    sentAt: number,
    stop: AbortSignal,
  ): Promise<void> {
    const clock = new TermClock(sentAt, this.leaseMs - this.marginMs, () =>
      this.lost(epoch, 'not renewed in time'),
    );
    const signal = AbortSignal.any([stop, clock.lost]);
    const returned = new AbortController();
    void this.keepRenewed(epoch, clock, returned.signal); // never rejects
    try {
      await lead({ epoch, signal, isAlive: () => clock.isAlive() }); // (L4)
    } catch (error) {
      if (!(signal.aborted && isAbort(error, signal))) throw error;
    } finally {
      returned.abort();
      if (clock.isAlive()) await orAborted(this.tryFree(epoch), clock.lost); // (L5)
      clock.end();
    }
    if (!stop.aborted) clock.lost.throwIfAborted();
  }

  /** Goes on while `lead` winds up after a stop: what it still writes is under its lease. */
  private async keepRenewed(epoch: bigint, clock: TermClock, returned: AbortSignal): Promise<void> {
    const { name, holder, sql } = this.options;
    for (;;) {
      await pause(this.renewMs, returned);
      if (returned.aborted || !clock.isAlive()) return;
      const sentAt = performance.now();
      try {
        const { rowCount } = await sql.query(this.renew, [name, holder, epoch, this.leaseMs]);
        if (returned.aborted) return;
        if (rowCount === 0) return clock.lose(this.lost(epoch, 'taken over'));
        clock.renewed(sentAt);
      } catch (error) {
        this.options.onError?.(error as Error); // the clock decides when it is too late (L3)
      }
    }
  }

  private lost(epoch: bigint, how: 'taken over' | 'not renewed in time'): LeaseLostError {
    return new LeaseLostError(this.options.name, epoch, how);
  }

  private async tryFree(epoch: bigint): Promise<void> {
    const { name, holder, sql } = this.options;
    try {
      await sql.query(this.free, [name, holder, epoch]);
    } catch (error) {
      this.options.onError?.(error as Error); // it runs out by itself
    }
  }
}

function isAbort(error: unknown, signal: AbortSignal): boolean {
  if (error === signal.reason) return true;
  return (
    typeof error === 'object' && error !== null && 'name' in error && error.name === 'AbortError'
  );
}

/** What the promise answers, or null as soon as the signal is aborted: the promise then goes on unwatched. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  const { promise: aborted, resolve } = Promise.withResolvers<null>();
  const onAbort = () => resolve(null);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
