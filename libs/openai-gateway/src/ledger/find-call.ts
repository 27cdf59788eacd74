/** A call as whoever comes from a response finds it: by the response's id, or by the call's own. */
import { statement, type Sql } from '#libs/postgres';
import type { CallFailure } from '../model-call.js';
import type { LedgerCall } from './ledger-call.js';

export interface FoundCall {
  readonly callId: string;
  readonly model: string;
  /** Bare UUID. */
  readonly runId: string;
  readonly state: LedgerCall['state'];
  readonly cancelRequested: boolean;
  readonly responseId: string | null;
  readonly account: string;
  readonly failure: CallFailure | null;
}

export async function callOfResponse(sql: Sql, responseId: string): Promise<FoundCall | null> {
  const { rows } = await sql.query<FoundCall>(BY_RESPONSE, [responseId]);
  return rows[0] ?? null;
}

export async function callOf(sql: Sql, callId: string): Promise<FoundCall | null> {
  const { rows } = await sql.query<FoundCall>(BY_ID, [callId]);
  return rows[0] ?? null;
}

const columns = `call_id AS "callId", model, run_id AS "runId", state, cancel_requested AS "cancelRequested",
     response_id AS "responseId", account, failure`;

const BY_RESPONSE = statement(
  'gateway.call_of_response',
  `SELECT ${columns} FROM processor.calls WHERE response_id = $1 LIMIT 1`,
);

const BY_ID = statement(
  'gateway.call_by_id',
  `SELECT ${columns} FROM processor.calls WHERE call_id = $1`,
);
