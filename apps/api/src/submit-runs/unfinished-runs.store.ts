import { statement, type Sql } from '#libs/postgres';

/** Counts what is accepted and not yet done. */
export class UnfinishedRunsStore {
  constructor(private readonly sql: Sql) {}

  /** Unfinished runs of the tenant, counted up to `limit` and no further: what lies beyond costs nothing. */
  async count(tenant: string, limit: number): Promise<number> {
    const { rows } = await this.sql.query<{ unfinished: number }>(COUNT, [tenant, limit]);
    return rows[0]?.unfinished ?? 0;
  }
}

/**
 * Read from the index `runs_by_status` alone, whatever the planner believes about the table: no other index has this order.
 * A run before a person is no work in progress: waiting would not make it less.
 */
const COUNT = statement(
  'api.unfinished-runs.count',
  `SELECT count(*)::int AS unfinished
   FROM (SELECT FROM api.runs r
         WHERE r.tenant = $1 AND r.status IN ('queued', 'running', 'retrying')
         ORDER BY r.status, r.id LIMIT $2) AS r`,
);
