/** The calls of a run that may have left and have not come to an end, as whoever closes them finds them. */
import { statement, type Sql } from '#libs/postgres';

export interface OpenCall {
  readonly callId: string;
  readonly model: string;
  readonly state: 'sending' | 'accepted' | 'unknown';
  /** Of an accepted call. */
  readonly responseId: string | null;
  readonly account: string;
  /** Sendings so far. */
  readonly attempt: number;
  readonly anchor: string | null;
}

export async function openCallsOf(sql: Sql, runId: string): Promise<OpenCall[]> {
  const { rows } = await sql.query<OpenCall>(OPEN_CALLS, [runId]);
  return rows;
}

const OPEN_CALLS = statement(
  'gateway.open_calls_of_run',
  `SELECT call_id AS "callId", model, state, response_id AS "responseId", account, attempt_count AS attempt, anchor
   FROM processor.calls
   WHERE run_id = $1 AND state IN ('sending', 'accepted', 'unknown') ORDER BY step, item, try`,
);
