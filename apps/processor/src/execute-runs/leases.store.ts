import { statement, type Database } from '#libs/postgres';
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

const RENEW = statement(
  'processor.executions.renew_leases',
  `WITH held AS (
     SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS h (run_id, fence)
   ), free AS (
     SELECT e.run_id FROM processor.executions e JOIN held h ON h.run_id = e.run_id
     WHERE e.status = 'running' AND e.owner = $3 AND e.fence = h.fence
     ORDER BY e.run_id FOR NO KEY UPDATE OF e SKIP LOCKED
   ), renewed AS (
     UPDATE processor.executions e SET lease_until = now() + make_interval(secs => $4::float8 / 1000)
     FROM free WHERE e.run_id = free.run_id RETURNING e.run_id
   )
   SELECT h.run_id AS "runId",
     coalesce(e.status = 'running' AND e.owner = $3 AND e.fence = h.fence, false) AS mine,
     r.run_id IS NOT NULL AS renewed, coalesce(e.cancel_requested, false) AS "cancelRequested"
   FROM held h LEFT JOIN processor.executions e ON e.run_id = h.run_id LEFT JOIN renewed r ON r.run_id = h.run_id`,
);
