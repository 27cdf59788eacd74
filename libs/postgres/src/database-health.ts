/** What is wrong with a database, in words for whoever runs the process; null where nothing is. Never longer than its limit. */
import type { Database } from './database.js';
import { missingMigrations, type SchemaSpec } from './schemas.js';

const ANSWER_WITHIN_MS = 2_000;

export async function databaseProblem(database: Database): Promise<string | null> {
  try {
    await inTime(database.query('SELECT 1'));
    return null;
  } catch (error) {
    return `does not answer: ${wordOf(error)}`;
  }
}

/** A build that is newer than its schema, or a database that was put back to an older state. */
export async function migrationsProblem(
  schemas: readonly (Pick<SchemaSpec, 'schema' | 'migrations'> & { readonly database: Database })[],
): Promise<string | null> {
  try {
    for (const { database, schema, migrations } of schemas) {
      const missing = await inTime(missingMigrations(database, { schema, migrations }));
      if (missing.length > 0) return `schema ${schema} lacks ${missing.join(', ')}: migrate it`;
    }
    return null;
  } catch (error) {
    return `cannot be looked at: ${wordOf(error)}`;
  }
}

async function inTime<T>(answer: Promise<T>): Promise<T> {
  const limit = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => limit.reject(new DatabaseSilentError(ANSWER_WITHIN_MS)),
    ANSWER_WITHIN_MS,
  );
  try {
    return await Promise.race([answer, limit.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** A code says it all. pg's own errors have none, and a message without an address. */
function wordOf(error: unknown): string {
  if (error instanceof DatabaseSilentError) return error.message;
  for (let at: unknown = error, depth = 0; depth < 5; depth += 1) {
    if (typeof at !== 'object' || at === null) break;
    if ('code' in at && typeof at.code === 'string') return at.code;
    at = 'cause' in at ? at.cause : null;
  }
  return error instanceof Error ? error.message : 'unknown';
}

class DatabaseSilentError extends Error {
  override readonly name = 'DatabaseSilentError';
  readonly code = 'database_silent';
  constructor(limitMs: number) {
    super(`nothing came back within ${limitMs / 1_000} s`);
  }
}
