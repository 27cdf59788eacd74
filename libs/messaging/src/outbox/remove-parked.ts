import { statement, type Sql } from '#libs/postgres';

/**
 * For the outbox's retention: gives up keys with a row that Kafka refused so long ago that what the key is about is gone. All
 * rows of the key go, those that wait behind it too: never one alone (outbox-relay.ts, R5).
 * @returns how many keys
 */
export function parkedRemover(
  schema: string,
): (sql: Sql, keptMs: number, maxKeys: number) => Promise<number> {
  const remove = statement(
    `${schema}.outbox.remove_parked`,
    `WITH keys AS (
       SELECT DISTINCT key FROM (
         SELECT key FROM ${schema}.outbox WHERE parked_at < now() - $1 * interval '1 ms' ORDER BY parked_at LIMIT $2
       ) AS old
     ), removed AS (
       DELETE FROM ${schema}.outbox o USING keys WHERE o.key = keys.key
     )
     SELECT count(*)::int AS keys FROM keys`,
  );
  return async (sql, keptMs, maxKeys) => {
    const { rows } = await sql.query<{ keys: number }>(remove, [keptMs, maxKeys]);
    return rows[0]?.keys ?? 0;
  };
}
