/** What becomes of the rows of a table in time. Each table has an entry; a spec asks Postgres for all tables and misses none. */
export type Retention<Stores, Keep extends string> = TableStays | RetentionRule<Stores, Keep>;

/** A table that does not grow with the work done. */
export interface TableStays {
  readonly kind: 'stays';
  /** With its schema. */
  readonly table: string;
  readonly because: string;
}

/** Rows that go when they have been kept for long enough. */
export interface RetentionRule<Stores, Keep extends string> {
  readonly kind: 'goes';
  /** All tables that lose rows or texts by this rule, with their schemas. */
  readonly tables: readonly [string, ...string[]];
  /** What goes, and from when its time counts: for people. */
  readonly what: string;
  /** Name of the time that it is kept; a time of 0 is for ever. */
  readonly keptFor: Keep;
  /**
   * One batch: a short transaction over `maxRows` at most. Answers with how many it dealt with; fewer than `maxRows` are the
   * last ones for now.
   */
  remove(stores: Stores, keepMs: number, maxRows: number): Promise<number>;
}

export function rulesOf<Stores, Keep extends string>(
  retention: readonly Retention<Stores, Keep>[],
): RetentionRule<Stores, Keep>[] {
  return retention.filter((entry) => entry.kind === 'goes');
}
