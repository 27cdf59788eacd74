import { statement, type Database } from '#libs/postgres';

/** How many runs wait in a state for a model, over all tenants, and the longest wait among them. */
export interface WaitingRuns {
  readonly state: 'ready' | 'retrying' | 'needs_review';
  readonly model: string;
  readonly runs: number;
  readonly oldestSeconds: number;
}

/** Reads by the partial index of each state, at most 100,000 rows of it: its cost has an end, however long the queue. */
export class WaitingRunsStore {
  constructor(private readonly database: Database) {}

  async count(): Promise<readonly WaitingRuns[]> {
    const { rows } = await this.database.query<WaitingRuns>(COUNT);
    return rows;
  }
}

const COUNT = statement(
  'processor.executions.count-waiting',
  `SELECT state, model, count(*)::int AS runs,
     greatest(0, extract(epoch FROM now() - min(since)))::float8 AS "oldestSeconds"
   FROM (
     (SELECT status AS state, model, ready_since AS since FROM processor.executions WHERE status = 'ready' LIMIT 100000)
     UNION ALL
     (SELECT status, model, next_attempt_at FROM processor.executions WHERE status = 'retrying' LIMIT 100000)
     UNION ALL
     (SELECT status, model, coalesce(first_failed_at, admitted_at) FROM processor.executions
      WHERE status = 'needs_review' LIMIT 100000)
   ) waiting
   GROUP BY state, model`,
);
