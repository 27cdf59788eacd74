/**
 * Runs that told what they had spent while some of it was uncertain. No event of theirs follows by itself: whoever learns what a call
 * cost (a webhook, an anchor, a close) has the run looked at, and what the ledger says then is told (settle-spend).
 *
 * (U1) A run is noted in the transaction that tells it, and only where something is uncertain.
 * (U2) A note is due a few times by itself, too: a call may be booked by somebody whose word got lost, or between the reading of the
 *      spend and the commit of the note.
 */
import type { RunSpend } from '#libs/openai-gateway';
import { statement, type Sql, type Tx } from '#libs/postgres';
import { toldSpendOf } from './told-spend.js';

/** What comes at the same moment as the run's end is in the ledger by then. */
const FIRST_LOOK_MS = 10_000;

/** Belongs into the transaction that tells the spend of these runs (U1). */
export function noteUnsettled(tx: Tx, spent: ReadonlyMap<string, readonly RunSpend[]>): void {
  const unsettled = [...spent].filter(([, spend]) => isUncertain(spend));
  if (unsettled.length === 0) return;
  tx.send(NOTE, [
    unsettled.map(([runId]) => runId),
    unsettled.map(([, spend]) => textOf(spend)),
    FIRST_LOOK_MS,
  ]);
}

/** Something was learned of a call of this run. */
export async function lookAtSpend(sql: Sql, runId: string): Promise<void> {
  await sql.query(LOOK, [runId]);
}

export const isUncertain = (spend: readonly RunSpend[]): boolean =>
  spend.some(({ uncertain }) => uncertain > 0n);

/** One text for one spend: what was told is compared with what is known. */
export function textOf(spend: readonly RunSpend[]): string {
  const { usage, spend: parts } = toldSpendOf(spend, null);
  return JSON.stringify([usage, parts]);
}

const NOTE = statement(
  'processor.unsettled.note',
  `INSERT INTO processor.unsettled_runs AS u (run_id, told, due_at)
   SELECT run_id, told, now() + $3 * interval '1 ms' FROM unnest($1::uuid[], $2::text[]) AS w (run_id, told) ORDER BY run_id
   ON CONFLICT (run_id) DO UPDATE SET told = excluded.told, settlements = 0, looks = 0, due_at = excluded.due_at`,
);

const LOOK = statement(
  'processor.unsettled.look',
  `UPDATE processor.unsettled_runs SET due_at = now() WHERE run_id = $1`,
);
