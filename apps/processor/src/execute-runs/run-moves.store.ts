/**
 * The owner's writes: each moves his run on, under his fence, in batches.
 *
 * (W1) A cancel wins: where one is stored, nothing is written but the end as cancelled, or that the run is given back. The
 *      owner is told, closes the run's calls, and comes again.
 * (W2) A batch is written again where the answer to its COMMIT was lost. An outcome that was written then has ended its attempt,
 *      which nobody but its owner ends so: it is known again, and not taken for one that came too late.
 */
import type { Outbox, OutboxRelay } from '#libs/messaging';
import { pauseAt } from '#libs/pause-points';
import { KeyedBatcher, statement, type Database, type Tx } from '#libs/postgres';
import {
  changeExecutions,
  lockStandpoints,
  unchanged,
  type ExecutionChange,
  type Standpoint,
} from '../schema/index.js';
import type { Claim } from './claim.js';
import type { Outcome } from './outcome.js';

/** `lost`: the fence is. `cancel_requested`: (W1). Nothing was written in either case. */
export type Moved = 'written' | 'lost' | 'cancel_requested';

interface Move {
  readonly runId: string;
  readonly fence: bigint;
  readonly outcome: Outcome['kind'];
  readonly change: (row: Standpoint) => ExecutionChange;
}

export class RunMovesStore {
  private readonly batcher: KeyedBatcher<Move, Moved>;

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

  async move({ run, fence }: Claim, outcome: Outcome): Promise<Moved> {
    const change = (row: Standpoint) => changeOf(row, fence, outcome);
    const { kind } = outcome;
    const moved = await this.batcher.push({ runId: run.run_id, fence, outcome: kind, change });
    this.relay.hint();
    return moved;
  }

  private async write(moves: readonly Move[]): Promise<Moved[]> {
    return this.database.transaction(async (tx) => {
      const rows = await lockStandpoints(
        tx,
        moves.map((move) => move.runId),
      );
      const byRun = new Map(rows.map((row) => [row.run_id, row]));
      const isCancelled = (move: Move) => isOvertaken(move, byRun.get(move.runId));
      const changes = moves.flatMap((move) => {
        const row = byRun.get(move.runId);
        return row === undefined || isCancelled(move) ? [] : [move.change(row)];
      });
      const changed = await changeExecutions(tx, this.outbox, changes);
      if (changed.some(({ status }) => status !== 'running')) pauseAt('outcome.before-commit');
      const written = new Set(changed.map((row) => row.run_id));
      const left = moves.filter((move) => !written.has(move.runId) && !isCancelled(move));
      for (const runId of await writtenBefore(tx, left, byRun)) written.add(runId); // (W2)
      return moves.map((move) => {
        if (isCancelled(move)) return 'cancel_requested';
        return written.has(move.runId) ? 'written' : 'lost';
      });
    });
  }
}

/** (W2) */
async function writtenBefore(
  tx: Tx,
  moves: readonly Move[],
  rows: ReadonlyMap<string, Standpoint>,
): Promise<readonly string[]> {
  const outcomes = moves.flatMap((move) => {
    const row = rows.get(move.runId);
    if (row === undefined) return [];
    const { to, endedAs } = move.change(row);
    return to === 'running' ? [] : [{ ...move, outcome: endedAs ?? to }];
  });
  if (outcomes.length === 0) return [];
  const { rows: ended } = await tx.query<{ run_id: string }>(ENDED_SO, [
    outcomes.map(({ runId }) => runId),
    outcomes.map(({ fence }) => fence),
    outcomes.map(({ outcome }) => outcome),
  ]);
  return ended.map(({ run_id: runId }) => runId);
}

const ENDED_SO = statement(
  'processor.attempts.ended_so',
  `SELECT a.run_id FROM processor.attempts a
   JOIN unnest($1::uuid[], $2::bigint[], $3::text[]) AS w (run_id, fence, outcome) USING (run_id, fence, outcome)`,
);

/** (W1) */
function isOvertaken({ fence, outcome }: Move, row: Standpoint | undefined): boolean {
  if (row?.status !== 'running' || row.fence !== fence || !row.cancel_requested) return false;
  return outcome !== 'cancelled' && outcome !== 'released';
}

/** What an outcome means for the row. */
function changeOf(row: Standpoint, fence: bigint, outcome: Outcome): ExecutionChange {
  const base: ExecutionChange = { ...unchanged(row), from: 'running', fence, to: 'running' };
  switch (outcome.kind) {
    case 'progressed':
      return {
        ...base,
        event: 'RunProgressed',
        progress: outcome.progress,
        delayMs: outcome.unknownForMs,
        waitingFor: outcome.unknownForMs === null ? null : 'outcome_unknown',
      };
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
        dispatch: 'sent_again',
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
    case 'cancelled':
      return { ...base, to: 'cancelled', event: 'RunCancelled' };
    case 'parked':
      return {
        ...base,
        ...{ to: 'ready', endedAs: 'parked', event: 'RunWaiting', lostLeases: 0 },
        attempt: outcome.attempt,
        delayMs: outcome.delayMs,
        waitingFor: outcome.reason,
        because: outcome.because,
        model: outcome.model,
      };
    case 'released':
      return { ...base, to: 'ready', endedAs: 'released' };
  }
}
