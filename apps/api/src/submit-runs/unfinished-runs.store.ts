import { statement, type Database } from '#libs/postgres';

/** Counts what is accepted and not yet done. */
export class UnfinishedRunsStore {
  constructor(private readonly database: Pick<Database, 'transaction'>) {}

  /** Unfinished runs of the tenant, counted up to `limit` and no further: what lies beyond costs nothing. */
  async count(tenant: string, limit: number): Promise<number> {
    return this.database.transaction(async (tx) => {
      await tx.query(NO_SORT);
      const { rows } = await tx.query<{ unfinished: number }>(COUNT, [tenant, limit]);
      return rows[0]?.unfinished ?? 0;
    });
  }
}

/**
 * A planner that knows nothing of a tenant yet takes its runs for one, reads them all by another index, and sorts. In this
 * transaction it may not sort; so the order has to come from an index, and the reading ends at the limit.
 */
const NO_SORT = statement(
  'api.unfinished-runs.no-sort',
  `SELECT set_config('enable_sort', 'off', true), set_config('enable_incremental_sort', 'off', true)`,
);

/**
 * Read from the index `runs_by_status` alone: no other has this order.
 * A run before a person is no work in progress: waiting would not make it less.
 */
const COUNT = statement(
  'api.unfinished-runs.count',
  `SELECT count(*)::int AS unfinished
   FROM (SELECT FROM api.runs r
         WHERE r.tenant = $1 AND r.status IN ('queued', 'running', 'retrying')
         ORDER BY r.status, r.id LIMIT $2) AS r`,
);
