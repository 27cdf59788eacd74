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
}

/** Of each item of the step that has been called: its call with the highest `try`. */
export async function newestCalls(
  sql: Sql,
  runId: string,
  step: number,
): Promise<ReadonlyMap<number, NewestCall>> {
  const { rows } = await sql.query<NewestCall>(NEWEST, [runId, step]);
  return new Map(rows.map((row) => [row.item, row]));
}

const NEWEST = statement(
  'gateway.newest_calls',
  `SELECT DISTINCT ON (item) item, try, state, fence,
     CASE WHEN state IN ('failed', 'cancelled') THEN failure END AS "endedWith"
   FROM processor.calls WHERE run_id = $1 AND step = $2 ORDER BY item, try DESC`,
);
