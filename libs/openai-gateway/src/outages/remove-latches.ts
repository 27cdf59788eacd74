import { removalOfOld, type Sql } from '#libs/postgres';

/** Latches that were released longer ago than that; those that are held stay. @returns how many went */
export async function removeLatches(sql: Sql, overMs: number, maxRows: number): Promise<number> {
  return (await sql.query(REMOVE, [overMs, maxRows])).rowCount;
}

const REMOVE = removalOfOld('gateway.latches.remove', {
  ...{ table: 'processor.latches', key: 'latch_id', since: 'released_at' },
});
