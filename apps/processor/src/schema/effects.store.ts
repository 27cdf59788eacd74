/** What a decision about a run, and its end, mean for its effects; each in the caller's transaction, with the run's row locked. */
import { removalOf, statement, type Tx } from '#libs/postgres';

/** Of these runs those with an effect that was being sent when its processor stopped, or is being sent. */
export async function runsWithOpenEffects(
  tx: Tx,
  runIds: readonly string[],
): Promise<ReadonlySet<string>> {
  if (runIds.length === 0) return new Set();
  const { rows } = await tx.query<{ run_id: string }>(WITH_OPEN_EFFECTS, [runIds]);
  return new Set(rows.map((row) => row.run_id));
}

/**
 * A person sends these runs on: effects that came to nothing are sent again, under the same delivery id and with the same body.
 * Those that may have happened are booked as possible duplicates: what the person was told, and has accepted.
 */
export async function sendEffectsAgain(tx: Tx, runIds: readonly string[]): Promise<void> {
  if (runIds.length === 0) return;
  await tx.query(SEND_AGAIN, [runIds]);
}

/** What was said and answered; that it was, stays for as long as the run's row. */
export async function forgetEffects(tx: Tx, runIds: readonly string[]): Promise<void> {
  await tx.query(FORGET, [runIds]);
}

/** With the run's row. */
export async function removeEffects(tx: Tx, runIds: readonly string[]): Promise<void> {
  await tx.query(REMOVE, [runIds]);
}

const WITH_OPEN_EFFECTS = statement(
  'processor.effects.runs_with_open',
  `SELECT DISTINCT run_id FROM processor.effects WHERE run_id = ANY($1::uuid[]) AND state = 'sending'`,
);

const SEND_AGAIN = statement(
  'processor.effects.send_again',
  `WITH wanted AS (
     SELECT effect_id FROM processor.effects WHERE run_id = ANY($1::uuid[]) AND state IN ('failed', 'unknown')
     ORDER BY effect_id FOR NO KEY UPDATE)
   UPDATE processor.effects f
   SET possible_duplicate = f.possible_duplicate OR f.state = 'unknown', state = 'planned', failure = NULL, ended_at = NULL
   FROM wanted w WHERE f.effect_id = w.effect_id`,
);

const FORGET = statement(
  'processor.effects.forget',
  `UPDATE processor.effects SET body = '', answer = NULL WHERE run_id = ANY($1::uuid[])`,
);

const REMOVE = removalOf('processor.effects.remove', 'processor.effects');
