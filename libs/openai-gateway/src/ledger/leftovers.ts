/**
 * What runs leave at OpenAI that nobody has in hand: calls that were not brought to an end, and of ended runs conversations, too.
 *
 * (O1) A run is noted in the transaction that ends it, or leaves it waiting for a lane or a person, and only where it leaves something.
 * (O2) Whoever takes a note moves its time on in the same statement: two processors do not work on it at once, and where the one dies
 *      it is due again.
 */
import { statement, type Sql, type Tx } from '#libs/postgres';

export interface Leftover {
  readonly runId: string;
  /** At this run so far, this one included. */
  readonly looks: number;
}

/** What is on its way when a run ends comes to its end by itself meanwhile. */
const firstLookMs = 60_000;

/** Belongs into the transaction that ends these runs, or removes their details (O1). */
export function noteLeftovers(tx: Tx, runIds: readonly string[]): void {
  if (runIds.length === 0) return;
  tx.send(NOTE, [runIds, firstLookMs]);
}

/** Belongs into the transaction that leaves these runs without an owner: of a call whose cancel was not confirmed (O1). */
export function noteAcceptedCalls(tx: Tx, runIds: readonly string[]): void {
  if (runIds.length === 0) return;
  tx.send(NOTE_ACCEPTED, [runIds, firstLookMs]);
}

export async function takeLeftovers(
  sql: Sql,
  max: number,
  takenForMs: number,
): Promise<readonly Leftover[]> {
  return (await sql.query<Leftover>(TAKE, [max, takenForMs])).rows;
}

export async function settleLeftover(sql: Sql, runId: string): Promise<void> {
  await sql.query(SETTLE, [runId]);
}

export async function putOffLeftover(sql: Sql, runId: string, ms: number): Promise<void> {
  await sql.query(PUT_OFF, [runId, ms]);
}

export interface LeftCall {
  readonly callId: string;
  readonly isOpen: boolean;
  readonly account: string;
  readonly anchor: string | null;
}

/** Calls of the run that are open and can be asked for, or ended and have an anchor. */
export async function leftoversOf(sql: Sql, runId: string): Promise<readonly LeftCall[]> {
  return (await sql.query<LeftCall>(OF_RUN, [runId])).rows;
}

const isLeft = `(anchor IS NOT NULL OR (response_id IS NOT NULL AND state IN ('sending', 'accepted', 'unknown')))`;

const noteWhere = (condition: string) =>
  `INSERT INTO processor.call_leftovers (run_id, due_at)
   SELECT DISTINCT run_id, now() + $2 * interval '1 ms' FROM processor.calls WHERE run_id = ANY($1::uuid[]) AND ${condition}
   ORDER BY run_id
   ON CONFLICT (run_id) DO NOTHING`;

const NOTE = statement('gateway.note_leftovers', noteWhere(isLeft));
const NOTE_ACCEPTED = statement('gateway.note_accepted_calls', noteWhere(`state = 'accepted'`));

const TAKE = statement(
  'gateway.take_leftovers',
  `WITH due AS (
     SELECT run_id FROM processor.call_leftovers WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
   UPDATE processor.call_leftovers l SET looks = l.looks + 1, due_at = now() + $2 * interval '1 ms'
   FROM due WHERE l.run_id = due.run_id
   RETURNING l.run_id AS "runId", l.looks`,
);

const SETTLE = statement(
  'gateway.settle_leftover',
  `DELETE FROM processor.call_leftovers WHERE run_id = $1`,
);

const PUT_OFF = statement(
  'gateway.put_off_leftover',
  `UPDATE processor.call_leftovers SET due_at = now() + $2 * interval '1 ms' WHERE run_id = $1`,
);

const OF_RUN = statement(
  'gateway.leftovers_of_run',
  `SELECT call_id AS "callId", state IN ('sending', 'accepted', 'unknown') AS "isOpen", account, anchor
   FROM processor.calls WHERE run_id = $1 AND ${isLeft}`,
);
