/**
 * Compares what runs have told of their spend with what the ledger says by now, and tells the difference.
 *
 * (S1) Whoever takes a note moves its time on in the same statement: two processors do not work on it at once, and where the one dies
 *      it is due again.
 * (S2) Message and note change in one transaction, under the lock of the run and then of its note: what was told is what the note says,
 *      whoever dies, and a word that comes meanwhile (`lookAtSpend`) waits, and makes the note due again.
 * (S3) The ledger is read after both locks: what was booked before the word came is seen.
 * (S4) Only of runs at rest: one that goes on tells all of it when it stops. One whose details are gone is told of no more.
 */
import type { Outbox } from '#libs/messaging';
import { spendOfRuns } from '#libs/openai-gateway';
import { statement, type Database } from '#libs/postgres';
import {
  isUncertain,
  lockExecutions,
  spendSettledMessage,
  textOf,
  type ExecutionRow,
  type ExecutionStatus,
} from '../schema/index.js';
import { decideNextLook } from './decide-next-look.js';

export type Settling =
  | 'told'
  /** Something of it is uncertain still. */
  | 'told_in_part'
  | 'nothing_new'
  /** It goes on, or is gone: nobody looks again. */
  | 'not_at_rest';

export class SettleSpendStore {
  constructor(
    private readonly database: Pick<Database, 'query' | 'transaction'>,
    private readonly outbox: Outbox,
    private readonly takenForMs: number,
  ) {}

  /** Those that are due, oldest first (S1). */
  async take(max: number): Promise<readonly string[]> {
    const { rows } = await this.database.query<{ runId: string }>(TAKE, [max, this.takenForMs]);
    return rows.map(({ runId }) => runId);
  }

  async settle(runId: string): Promise<Settling> {
    return this.database.transaction(async (tx) => {
      const [run] = await lockExecutions(tx, [runId]);
      const { rows } = await tx.query<Note>(LOCK_NOTE, [runId]); // (S2)
      const [note] = rows;
      if (note === undefined) return 'nothing_new';
      if (run === undefined || !isAtRest(run)) {
        tx.send(REMOVE, [runId]); // (S4)
        return 'not_at_rest';
      }
      const spent = (await spendOfRuns(tx, [runId])).get(runId) ?? []; // (S3)
      const known = textOf(spent);
      const isNews = known !== note.told;
      const settlement = note.settlements + (isNews ? 1 : 0);
      const { now, looks } = note;
      if (isNews) this.outbox.append(tx, [spendSettledMessage(run, { settlement, spent, now })]);
      const isInPart = isUncertain(spent);
      if (isInPart) tx.send(KEEP, [runId, known, settlement, decideNextLook(looks)]);
      else tx.send(REMOVE, [runId]);
      if (!isNews) return 'nothing_new';
      return isInPart ? 'told_in_part' : 'told';
    });
  }
}

interface Note {
  readonly told: string;
  readonly settlements: number;
  readonly looks: number;
  readonly now: Date;
}

const atRest: readonly ExecutionStatus[] = ['needs_review', 'completed', 'failed', 'cancelled'];

const isAtRest = ({ status, expired_at }: ExecutionRow): boolean =>
  atRest.includes(status) && expired_at === null;

const TAKE = statement(
  'processor.unsettled.take',
  `WITH due AS (
     SELECT run_id FROM processor.unsettled_runs WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
   UPDATE processor.unsettled_runs u SET looks = u.looks + 1, due_at = now() + $2 * interval '1 ms'
   FROM due WHERE u.run_id = due.run_id
   RETURNING u.run_id AS "runId"`,
);

const LOCK_NOTE = statement(
  'processor.unsettled.lock',
  `SELECT told, settlements, looks, now() AS now FROM processor.unsettled_runs WHERE run_id = $1 FOR UPDATE`,
);

const KEEP = statement(
  'processor.unsettled.keep',
  `UPDATE processor.unsettled_runs SET told = $2, settlements = $3, due_at = now() + $4::float8 * interval '1 ms'
   WHERE run_id = $1`,
);

const REMOVE = statement(
  'processor.unsettled.remove',
  `DELETE FROM processor.unsettled_runs WHERE run_id = $1`,
);
