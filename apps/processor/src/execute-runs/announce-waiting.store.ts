/** Runs that have waited for a worker for over a second say so, once per wait: `RunQueued`. */
import type { Outbox } from '#libs/messaging';
import { statement, type Database } from '#libs/postgres';
import { changeExecutions, unchanged, type ExecutionRow } from '../schema/index.js';

export class AnnounceWaitingStore {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
  ) {}

  /** @returns how many were announced */
  async announce(limit: number): Promise<number> {
    return this.database.transaction(async (tx) => {
      const { rows } = await tx.query<ExecutionRow>(UNANNOUNCED, [limit]);
      await changeExecutions(
        tx,
        this.outbox,
        rows.map((row) => ({ ...unchanged(row), event: 'RunQueued' })),
      );
      return rows.length;
    });
  }
}

/** A run that is ready but not due yet is still retrying to the eye: it is not announced. */
const UNANNOUNCED = statement(
  'processor.executions.unannounced',
  `SELECT * FROM processor.executions
   WHERE status = 'ready' AND NOT wait_announced AND ready_since < now() - interval '1 second'
     AND (next_attempt_at IS NULL OR next_attempt_at < now() - interval '1 second')
   ORDER BY ready_since LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED`,
);
