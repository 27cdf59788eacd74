import { Database } from './database.js';
import type { MigrationClass } from './data-source.js';

/** Names of the migrations that a schema still lacks, in order; all of them where the schema is not there. */
export async function missingMigrations(
  url: string,
  schema: string,
  migrations: readonly MigrationClass[],
): Promise<string[]> {
  const wanted = migrations.map((migration) => new migration().name ?? migration.name);
  const database = new Database({ url, maxConnections: 1, applicationName: 'holdfast.migrations' });
  try {
    const table = `${schema}.migrations`;
    const found = await database.query<{ there: boolean }>(
      'SELECT to_regclass($1) IS NOT NULL AS there',
      [table],
    );
    if (!found.rows[0]?.there) return wanted;
    const { rows } = await database.query<{ name: string }>(`SELECT name FROM ${table}`);
    const ran = new Set(rows.map(({ name }) => name));
    return wanted.filter((name) => !ran.has(name));
  } finally {
    await database.close();
  }
}
