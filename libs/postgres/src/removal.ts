/**
 * The two shapes in which retention removes rows. Names stand in the text of the statement: they are written in code, never read
 * from anywhere.
 */
import { statement, type Statement } from './sql.js';

/** Rows of certain runs, or of whatever else the column names. Values: the ids. */
export function removalOf(
  name: string,
  table: string,
  [column, type]: readonly [column: string, type: 'uuid' | 'text'] = ['run_id', 'uuid'],
): Statement {
  return statement(name, `DELETE FROM ${table} WHERE ${column} = ANY($1::${type}[])`);
}

export interface AgedRows {
  readonly table: string;
  /** Its primary key, of one column. */
  readonly key: string;
  /** The instant from which their time counts; where it is null, the row stays. */
  readonly since: string;
}

/**
 * Rows that are older than they are kept, the oldest first; none that somebody holds. Values: for how long they are kept, in
 * milliseconds, and how many go at most.
 */
export function removalOfOld(name: string, { table, key, since }: AgedRows): Statement {
  return statement(
    name,
    `WITH due AS (
       SELECT ${key} FROM ${table} WHERE ${since} < now() - $1 * interval '1 ms'
       ORDER BY ${since} LIMIT $2 FOR UPDATE SKIP LOCKED
     )
     DELETE FROM ${table} t USING due WHERE t.${key} = due.${key}`,
  );
}
