/**
 * Brings one schema up to date: an explicit step, safe to start in any number of processes at once.
 *
 * (M1) One process migrates a schema at a time: the others wait for its advisory lock, then find nothing to do.
 *      The lock belongs to a session, so a process that dies frees it.
 * (M2) Each migration and its row in `<schema>.migrations` commit together.
 */
import pg from 'pg';
import { createDataSource, type MigrationClass } from './data-source.js';

export interface MigrateOptions {
  readonly url: string;
  readonly schema: string;
  readonly migrations: readonly MigrationClass[];
  /** How long to wait for another process that is migrating the same schema. Default 300,000. */
  readonly lockWaitMs?: number;
}

/** `RETURNING old.…, new.…` came with it, and the ledger's statements settle budgets by that. */
export const OLDEST_SERVER = 18;

export class ServerTooOldError extends Error {
  override readonly name = 'ServerTooOldError';
  readonly code = 'server_too_old';
  constructor(version: string) {
    super(
      `the Postgres server is of version ${version}; Holdfast needs ${OLDEST_SERVER} or later: upgrade it, or name another in DATABASE_URL`,
    );
  }
}

export class MigrationLockTimeoutError extends Error {
  override readonly name = 'MigrationLockTimeoutError';
  readonly code = 'migration_lock_timeout';
  constructor(schema: string, waitedMs: number, cause: unknown) {
    super(
      `schema "${schema}" is being migrated by another process, still after ${waitedMs / 1000} s; ` +
        'pg_locks (locktype = advisory) shows by whom',
      { cause },
    );
  }
}

/**
 * Creates the schema if it is missing and runs what is pending; answers with the names of what it ran.
 * @throws ServerTooOldError before anything is changed, MigrationLockTimeoutError
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  return holdingMigrationLock(options, async (client) => {
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
    requireServer(rows[0]!.server_version);
    await client.query(`CREATE SCHEMA IF NOT EXISTS ${pg.escapeIdentifier(options.schema)}`);
    const dataSource = createDataSource({ ...options, applicationName: 'holdfast.migrate' });
    await dataSource.initialize();
    try {
      const ran = await dataSource.runMigrations({ transaction: 'each' }); // (M2)
      return ran.map((migration) => migration.name);
    } finally {
      await dataSource.destroy();
    }
  });
}

/** @param version as Postgres says it: `18.4`, `17.2 (Debian 17.2-1)`, `19beta1` */
export function requireServer(version: string): void {
  if (Number.parseInt(version, 10) < OLDEST_SERVER) throw new ServerTooOldError(version);
}

const LOCK_NOT_AVAILABLE = '55P03';

async function holdingMigrationLock<T>(
  { url, schema, lockWaitMs = 300_000 }: MigrateOptions,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'holdfast.migrate',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  });
  client.on('error', () => undefined); // a lost lock session shows in the next statement, or in the work itself
  await client.connect();
  try {
    await client.query(`SET lock_timeout = ${Math.max(1, Math.floor(lockWaitMs))}`);
    try {
      await client.query(`SELECT pg_advisory_lock(hashtextextended($1, 0))`, [
        `holdfast.migrate.${schema}`,
      ]); // (M1)
    } catch (error) {
      const timedOut = error instanceof pg.DatabaseError && error.code === LOCK_NOT_AVAILABLE;
      throw timedOut ? new MigrationLockTimeoutError(schema, lockWaitMs, error) : error;
    }
    return await work(client);
  } finally {
    await client.end(); // and with it the lock
  }
}
