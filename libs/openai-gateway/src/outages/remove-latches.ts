import { statement, type Sql } from '#libs/postgres';

/** Latches that were released longer ago than that; those that are held stay. @returns how many went */
export async function removeLatches(sql: Sql, overMs: number, maxRows: number): Promise<number> {
  return (await sql.query(REMOVE, [overMs, maxRows])).rowCount;
}

const REMOVE = statement(
  'gateway.latches.remove',
  `DELETE FROM processor.latches WHERE latch_id IN (
     SELECT latch_id FROM processor.latches WHERE released_at < now() - $1 * interval '1 ms'
     ORDER BY released_at LIMIT $2 FOR UPDATE SKIP LOCKED)`,
);
