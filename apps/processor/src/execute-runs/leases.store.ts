import { type Database, hotStatement } from '#libs/postgres';
import type { Claim } from './claim.js';

export interface LeaseAnswer {
  readonly runId: string;
  /** The row still bears our fence. */
  readonly mine: boolean;
  /** False too where the row was locked at that moment: its owner is just writing, the next renewal finds it. */
  readonly renewed: boolean;
  /** The run is to be cancelled. */
  readonly cancelRequested: boolean;
}

export class LeasesStore {
  constructor(
    private readonly database: Database,
    private readonly owner: string,
    private readonly leaseMs: number,
  ) {}

  async renew(claims: readonly Claim[]): Promise<LeaseAnswer[]> {
    const { rows } = await this.database.query<LeaseAnswer>(RENEW, [
      claims.map((claim) => claim.run.run_id),
      claims.map((claim) => claim.fence),
      this.owner,
      this.leaseMs,
    ]);
    return rows;
  }
}

const RENEW = hotStatement(
  'processor.executions.renew_leases',
  `WITH held AS (
     SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS h (run_id, fence)
   ), free AS (
     SELECT e.run_id
     FROM (SELECT * FROM held ORDER BY run_id) h CROSS JOIN LATERAL (
       SELECT e.run_id FROM processor.executions e
       WHERE e.run_id = h.run_id AND e.owner = $3 AND e.fence = h.fence
       FOR NO KEY UPDATE SKIP LOCKED) e
   ), renewed AS (
     UPDATE processor.executions e SET lease_until = now() + make_interval(secs => $4::float8 / 1000)
     FROM free WHERE e.run_id = free.run_id RETURNING e.run_id
   )
   SELECT h.run_id AS "runId",
     coalesce(e.status = 'running' AND e.owner = $3 AND e.fence = h.fence, false) AS mine,
     h.run_id IN (SELECT run_id FROM renewed) AS renewed, coalesce(e.cancel_requested, false) AS "cancelRequested"
   FROM held h LEFT JOIN processor.executions e ON e.run_id = h.run_id`,
);
