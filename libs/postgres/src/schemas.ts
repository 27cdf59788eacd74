/** The schemas that a process uses: bringing them up to date is an explicit step, starting on an old one is refused. */
import { Database } from './database.js';
import type { MigrationClass } from './data-source.js';
import { migrate } from './migrate.js';
import type { Sql } from './sql.js';
import { waitForPostgres } from './wait-for-postgres.js';

export interface SchemaSpec {
  readonly schema: string;
  readonly url: string;
  readonly migrations: readonly MigrationClass[];
}

/** Terminal until somebody migrates. */
export class MigrationsMissingError extends Error {
  override readonly name = 'MigrationsMissingError';
  readonly code = 'migrations_missing';
  constructor(
    schema: string,
    readonly missing: readonly string[],
  ) {
    super(`schema ${schema} lacks ${missing.join(', ')}: migrate it first (an explicit step)`);
  }
}

/** Waits for each database, then runs what its schema lacks. `say` gets one line per schema. */
export async function migrateSchemas(
  schemas: readonly SchemaSpec[],
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  for (const { schema, url, migrations } of schemas) {
    await waitForPostgres(url, { signal, onWaiting: say });
    const ran = await migrate({ url, schema, migrations });
    say(
      ran.length > 0 ? `schema ${schema}: ran ${ran.join(', ')}` : `schema ${schema}: up to date`,
    );
  }
}

/**
 * Waits for each database, and looks whether its schema has every migration.
 * @throws MigrationsMissingError
 */
export async function requireMigrated(
  schemas: readonly SchemaSpec[],
  waiting: { readonly signal: AbortSignal; readonly onWaiting: (line: string) => void },
): Promise<void> {
  for (const spec of schemas) {
    await waitForPostgres(spec.url, waiting);
    const missing = await missingFrom(spec);
    if (missing.length > 0) throw new MigrationsMissingError(spec.schema, missing);
  }
}

async function missingFrom({ url, ...spec }: SchemaSpec): Promise<string[]> {
  const database = new Database({ url, maxConnections: 1, applicationName: 'holdfast.migrations' });
  try {
    return await missingMigrations(database, spec);
  } finally {
    await database.close();
  }
}

/** Names, in order; all of them where the schema is not there. */
export async function missingMigrations(
  sql: Sql,
  { schema, migrations }: Pick<SchemaSpec, 'schema' | 'migrations'>,
): Promise<string[]> {
  const wanted = migrations.map((migration) => new migration().name ?? migration.name);
  const table = `${schema}.migrations`;
  const found = await sql.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
    table,
  ]);
  if (!found.rows[0]?.there) return wanted;
  const { rows } = await sql.query<{ name: string }>(`SELECT name FROM ${table}`);
  const ran = new Set(rows.map(({ name }) => name));
  return wanted.filter((name) => !ran.has(name));
}
