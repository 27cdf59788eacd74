/**
 * What a decision about a run means for its calls; each belongs into the transaction that takes the decision.
 * All lock in the order of call ids, after the run's row.
 */
import { statement, type Tx } from '#libs/postgres';

/** From the commit on no call of these runs is sent: neither those that the ledger has, nor those that are still to come. */
export async function stopCalls(tx: Tx, runIds: readonly string[]): Promise<void> {
  if (runIds.length === 0) return;
  await tx.query(STOP_RUNS, [runIds]);
  await tx.query(STOP_CALLS, [runIds]);
}

/** Of these runs those with a call that may have left and has not come to an end. */
export async function runsWithOpenCalls(
  tx: Tx,
  runIds: readonly string[],
): Promise<ReadonlySet<string>> {
  if (runIds.length === 0) return new Set();
  const { rows } = await tx.query<{ run_id: string }>(WITH_OPEN_CALLS, [runIds]);
  return new Set(rows.map((row) => row.run_id));
}

/**
 * A person sends these runs on although calls of theirs may have been paid without a result: those calls are given up, and
 * booked as possible duplicates of the ones that will take their place.
 */
export async function giveUpUnknownCalls(tx: Tx, runIds: readonly string[]): Promise<void> {
  if (runIds.length === 0) return;
  await tx.query(GIVE_UP_UNKNOWN, [runIds]);
}

const STOP_RUNS = statement(
  'gateway.stop_runs',
  `INSERT INTO processor.call_stops (run_id) SELECT run_id FROM unnest($1::uuid[]) AS s (run_id) ORDER BY 1
   ON CONFLICT DO NOTHING`,
);

const STOP_CALLS = statement(
  'gateway.stop_calls',
  `WITH wanted AS (
     SELECT call_id FROM processor.calls
     WHERE run_id = ANY($1::uuid[]) AND state IN ('planned', 'sending', 'accepted', 'unknown') AND NOT cancel_requested
     ORDER BY call_id FOR NO KEY UPDATE)
   UPDATE processor.calls c SET cancel_requested = true FROM wanted w WHERE c.call_id = w.call_id`,
);

const WITH_OPEN_CALLS = statement(
  'gateway.runs_with_open_calls',
  `SELECT DISTINCT run_id FROM processor.calls
   WHERE run_id = ANY($1::uuid[]) AND state IN ('sending', 'accepted', 'unknown')`,
);

const GIVE_UP_UNKNOWN = statement(
  'gateway.give_up_unknown',
  `WITH wanted AS (
     SELECT call_id FROM processor.calls WHERE run_id = ANY($1::uuid[]) AND state = 'unknown'
     ORDER BY call_id FOR NO KEY UPDATE)
   UPDATE processor.calls c SET state = 'failed', possible_duplicate = true, ended_at = now()
   FROM wanted w WHERE c.call_id = w.call_id AND c.state = 'unknown'`,
);
