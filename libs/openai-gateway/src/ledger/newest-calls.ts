/** Where each item of a step stands: what a new pass over it continues from. */
import { statement, type Sql } from '#libs/postgres';
import type { CallFailure } from '../model-call.js';
import type { LedgerCall } from './ledger-call.js';

export interface NewestCall {
  readonly item: number;
  readonly try: number;
  readonly state: LedgerCall['state'];
  /** How it ended, where it ended without a result for good; null while it is open, unknown or done. */
  readonly endedWith: CallFailure | null;
  /** Of the last claim that had a say in it. */
  readonly fence: bigint;
  /** The newest call before it that was answered; what comes after an answer mends it. */
  readonly answeredTry: number | null;
  /** Whether a call before it was cut at its cap. */
  readonly wasCut: boolean;
  /** Whether the flex tier had no room for a call before it. */
  readonly wasFull: boolean;
}

/**
 * Of each item of the step that has been called: its call with the highest `try`.
 * @param afterFence what calls of this fence and before it came to is forgotten: a person has had the item asked anew
 */
export async function newestCalls(
  sql: Sql,
  runId: string,
  step: number,
  afterFence: bigint,
): Promise<ReadonlyMap<number, NewestCall>> {
  const { rows } = await sql.query<NewestCall>(NEWEST, [runId, step, afterFence, flexIsFull]);
  return new Map(rows.map((row) => [row.item, row]));
}

/** OpenAI's code where the flex tier has no room. */
export const flexIsFull = 'resource_unavailable';

const NEWEST = statement(
  'gateway.newest_calls',
  `SELECT DISTINCT ON (item) item, try, state, fence,
     CASE WHEN state IN ('failed', 'cancelled') THEN failure END AS "endedWith",
     max(try) FILTER (WHERE fence > $3 AND state = 'done') OVER earlier AS "answeredTry",
     coalesce(bool_or(fence > $3 AND state = 'failed' AND failure ->> 'class' = 'partial_output') OVER earlier, false)
       AS "wasCut",
     coalesce(bool_or(fence > $3 AND state = 'failed' AND failure ->> 'code' = $4) OVER earlier, false) AS "wasFull"
   FROM processor.calls WHERE run_id = $1 AND step = $2
   WINDOW earlier AS (PARTITION BY item ORDER BY try ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
   ORDER BY item, try DESC`,
);
