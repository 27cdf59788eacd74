/**
 * Finds runs that nobody moves on, and moves them on. Any processor may; SKIP LOCKED keeps them apart.
 *
 * (V1) An expired lease, by the database's clock: the fence grows in the same transaction, so its owner, should it come back,
 *      can write and send nothing.
 * (V2) A retry that is overdue on its row: its message is late or lost. It is admitted directly; should the message still
 *      come, it finds another state or dispatch.
 * (V3) A run that cannot be rescued, because what would have to be told of it cannot be told, does not keep the others from it.
 * (V4) A run whose deadline passes while it is ready ends then: its lane may be shut, and nobody claims it. One that is begun is
 *      left to whoever claims it, since calls of it may be open, unless it is parked.
 */
import type { Outbox } from '#libs/messaging';
import { runsWithOpenCalls } from '#libs/openai-gateway';
import { isRowRejection, statement, type Database } from '#libs/postgres';
import {
  changeExecutions,
  ownFailure,
  runsWithOpenEffects,
  unchanged,
  type ExecutionChange,
  type ExecutionRow,
} from '../schema/index.js';
import { decideRescue } from './decide-rescue.js';

const MAX_RUNS = 100;

export class RescueRunsStore {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
  ) {}

  /** @returns the rescued runs, as they stood before; those that could not be are told of apart (V3) */
  async rescueExpired(onRefused: OnRefused = () => undefined): Promise<readonly ExecutionRow[]> {
    try {
      return await this.rescue(null);
    } catch (error) {
      if (!isRowRejection(error)) throw error;
      return this.rescueOneByOne(onRefused);
    }
  }

  private async rescueOneByOne(onRefused: OnRefused): Promise<readonly ExecutionRow[]> {
    const rescued: ExecutionRow[] = [];
    const { rows } = await this.database.query<{ run_id: string }>(EXPIRED_IDS, [MAX_RUNS]);
    for (const { run_id: runId } of rows) {
      try {
        rescued.push(...(await this.rescue(runId)));
      } catch (error) {
        if (!isRowRejection(error)) throw error;
        onRefused(runId, error);
      }
    }
    return rescued;
  }

  /** @param only null: whichever have lost their lease */
  private async rescue(only: string | null): Promise<ExecutionRow[]> {
    return this.database.transaction(async (tx) => {
      const { rows } = await tx.query<ExecutionRow>(EXPIRED, [MAX_RUNS, only]);
      const calls = await runsWithOpenCalls(tx, cancelledOf(rows));
      const effects = await runsWithOpenEffects(tx, cancelledOf(rows));
      const isOpen = ({ run_id: id }: ExecutionRow) => calls.has(id) || effects.has(id);
      const changes = rows.map((row) => decideRescue(row, isOpen(row)));
      await changeExecutions(tx, this.outbox, changes); // (V1)
      return rows;
    });
  }

  /** @returns how many have ended (V4) */
  async endLate(): Promise<number> {
    return this.database.transaction(async (tx) => {
      const { rows } = await tx.query<ExecutionRow>(LATE, [MAX_RUNS]);
      await changeExecutions(tx, this.outbox, rows.map(endedLate));
      return rows.length;
    });
  }

  /** @returns how many were admitted (V2) */
  async admitOverdue(overdueMs: number): Promise<number> {
    const { rowCount } = await this.database.query(ADMIT_OVERDUE, [overdueMs, MAX_RUNS]);
    return rowCount;
  }
}

function endedLate(row: ExecutionRow): ExecutionChange {
  const failure = ownFailure(DEADLINE_PASSED, row.workflow);
  return { ...unchanged(row), to: 'failed', event: 'RunFailed', tries: row.tries + 1, failure };
}

const DEADLINE_PASSED = {
  class: 'deadline_exceeded',
  code: 'deadline_exceeded',
  message: 'the deadline that the caller gave has passed while the run waited',
} as const;

const LATE = statement(
  'processor.executions.late',
  `SELECT * FROM processor.executions
   WHERE status = 'ready' AND deadline_at IS NOT NULL AND deadline_at < now() AND (fence = 0 OR parked)
     AND NOT cancel_requested
   ORDER BY run_id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED`,
);

type OnRefused = (runId: string, error: unknown) => void;

function cancelledOf(rows: readonly ExecutionRow[]): string[] {
  return rows.flatMap((row) => (row.cancel_requested ? [row.run_id] : []));
}

const EXPIRED = statement(
  'processor.executions.expired',
  `SELECT * FROM processor.executions
   WHERE status = 'running' AND lease_until < now() AND run_id = coalesce($2::uuid, run_id)
   ORDER BY run_id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED`,
);

const EXPIRED_IDS = statement(
  'processor.executions.expired_ids',
  `SELECT run_id FROM processor.executions WHERE status = 'running' AND lease_until < now() ORDER BY run_id LIMIT $1`,
);

const ADMIT_OVERDUE = statement(
  'processor.executions.admit_overdue',
  `WITH overdue AS (
     SELECT run_id FROM processor.executions
     WHERE status = 'retrying' AND next_attempt_at < now() - make_interval(secs => $1::float8 / 1000)
     ORDER BY run_id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
   )
   UPDATE processor.executions e SET status = 'ready', ready_since = now(), wait_announced = false
   FROM overdue WHERE e.run_id = overdue.run_id`,
);
