/** The owner's writes: each moves his run on, under his fence, in batches. */
import type { Outbox, OutboxRelay } from '#libs/messaging';
import { pauseAt } from '#libs/pause-points';
import { KeyedBatcher, type Database } from '#libs/postgres';
import {
  changeExecutions,
  lockExecutions,
  unchanged,
  type ExecutionChange,
  type ExecutionRow,
} from '../schema/index.js';
import type { Claim } from './claim.js';
import type { Outcome } from './outcome.js';

interface Move {
  readonly runId: string;
  readonly change: (row: ExecutionRow) => ExecutionChange;
}

export class RunMovesStore {
  private readonly batcher: KeyedBatcher<Move, boolean>;

  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    private readonly relay: Pick<OutboxRelay, 'hint'>,
  ) {
    this.batcher = new KeyedBatcher({
      name: 'processor.run-moves',
      keyOf: (move: Move) => move.runId,
      write: (moves) => this.write(moves),
    });
  }

  /** @returns false: the fence is lost, and nothing was written */
  async move(claim: Claim, outcome: Outcome): Promise<boolean> {
    const change = (row: ExecutionRow) => changeOf(row, claim.fence, outcome);
    const moved = await this.batcher.push({ runId: claim.run.run_id, change });
    this.relay.hint();
    return moved;
  }

  private async write(moves: readonly Move[]): Promise<boolean[]> {
    return this.database.transaction(async (tx) => {
      const rows = await lockExecutions(
        tx,
        moves.map((move) => move.runId),
      );
      const byRun = new Map(rows.map((row) => [row.run_id, row]));
      const changes = moves.flatMap((move) => {
        const row = byRun.get(move.runId);
        return row === undefined ? [] : [move.change(row)];
      });
      const changed = await changeExecutions(tx, this.outbox, changes);
      if (changed.some(({ status }) => status !== 'running')) pauseAt('outcome.before-commit');
      const moved = new Set(changed.map((row) => row.run_id));
      return moves.map((move) => moved.has(move.runId));
    });
  }
}

/** What an outcome means for the row. */
function changeOf(row: ExecutionRow, fence: bigint, outcome: Outcome): ExecutionChange {
  const base: ExecutionChange = { ...unchanged(row), from: 'running', fence, to: 'running' };
  switch (outcome.kind) {
    case 'progressed':
      return { ...base, event: 'RunProgressed', progress: outcome.progress };
    case 'wait_here':
      return {
        ...base,
        event: 'RunProgressed',
        attempt: outcome.attempt,
        tries: row.tries + 1,
        delayMs: outcome.delayMs,
        waitingFor: outcome.reason,
        failure: outcome.failure,
        progress: outcome.progress,
      };
    case 'retry_later':
      return {
        ...base,
        to: 'retrying',
        event: 'RunRetryScheduled',
        attempt: outcome.attempt,
        tries: row.tries + 1,
        lostLeases: 0,
        dispatchAgain: true,
        delayMs: outcome.delayMs,
        waitingFor: outcome.reason,
        failure: outcome.failure,
      };
    case 'completed':
      return { ...base, to: 'completed', event: 'RunCompleted', result: outcome.result };
    case 'needs_review':
      return {
        ...base,
        to: 'needs_review',
        event: 'RunNeedsReview',
        failure: outcome.failure,
        tries: row.tries + 1,
      };
    case 'failed':
      return {
        ...base,
        to: 'failed',
        event: 'RunFailed',
        failure: outcome.failure,
        tries: row.tries + 1,
      };
    case 'released':
      return { ...base, to: 'ready', endedAs: 'released' };
  }
}
