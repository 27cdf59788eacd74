import { statement, type Database } from '#libs/postgres';
import type { ExecutionRow } from '../schema/index.js';

/** The fence of the run's claim before this one; null: it is the first. */
export async function fenceBefore(database: Database, run: ExecutionRow): Promise<bigint | null> {
  const { rows } = await database.query<{ fence: bigint | null }>(BEFORE, [run.run_id, run.fence]);
  return rows[0]?.fence ?? null;
}

const BEFORE = statement(
  'processor.attempts.before',
  `SELECT max(fence) AS fence FROM processor.attempts WHERE run_id = $1 AND fence < $2`,
);
