/**
 * For the transaction that removes what ended runs leave behind: first what the model said, later the calls themselves. Until
 * then the ledger tells what was paid. The runs must be locked by the caller, and ended: nobody opens a call of them again.
 */
import { removalOf, statement, type Sql, type Tx } from '#libs/postgres';

/** What the model said, by bare run UUIDs. The rows stay, with state, ids and usage. */
export async function forgetOutputs(tx: Tx, runIds: readonly string[]): Promise<void> {
  await tx.query(FORGET_OUTPUTS, [runIds]);
}

/** The rows, that the runs were stopped or taken from an owner, and what was left of their budgets. */
export async function removeCalls(tx: Tx, runIds: readonly string[]): Promise<void> {
  await tx.query(REMOVE, [runIds]);
  await tx.query(REMOVE_STOPS, [runIds]);
  await tx.query(REMOVE_FENCES, [runIds]);
  await tx.query(REMOVE_LEFTOVERS, [runIds]);
  await tx.query(REMOVE_BUDGETS, [runIds.map((runId) => `run/${runId}`)]);
}

/** Those of days long gone. @returns how many */
export async function removeDayBudgets(sql: Sql, keepMs: number, maxRows: number): Promise<number> {
  return (await sql.query(REMOVE_DAYS, [keepMs, maxRows])).rowCount;
}

/** A `done` call has an output by its CHECK: an empty one, from then on. */
const FORGET_OUTPUTS = statement(
  'gateway.forget_outputs',
  `UPDATE processor.calls SET output = '' WHERE run_id = ANY($1::uuid[]) AND output IS NOT NULL`,
);

const REMOVE = removalOf('gateway.remove_calls', 'processor.calls');
const REMOVE_STOPS = removalOf('gateway.remove_stops', 'processor.call_stops');
const REMOVE_FENCES = removalOf('gateway.remove_run_fences', 'processor.run_fences');
const REMOVE_LEFTOVERS = removalOf('gateway.remove_leftovers', 'processor.call_leftovers');
const REMOVE_BUDGETS = removalOf('gateway.remove_budgets', 'processor.budgets', ['key', 'text']);

const REMOVE_DAYS = statement(
  'gateway.remove_day_budgets',
  `WITH due AS (
     SELECT key FROM processor.budgets WHERE day < (now() - $1 * interval '1 ms') AT TIME ZONE 'UTC' - interval '1 day'
     ORDER BY key LIMIT $2 FOR UPDATE SKIP LOCKED
   )
   DELETE FROM processor.budgets b USING due WHERE b.key = due.key`,
);
