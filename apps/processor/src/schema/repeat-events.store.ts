/**
 * Says again what a run has told last: for the api, which has heard nothing of it for too long. The same `ce_id` and version, so
 * that whoever has it drops it; marked as a repeat, so that whoever lacks it knows that it was lost.
 *
 * The message is built anew from the row, which keeps what it does not hold anyway (X7). A result that travelled in
 * `RunCompleted` comes by its reference only.
 */
import { repeatHeaders, type RunEventName } from '#libs/contracts';
import type { Outbox, OutboxMessage } from '#libs/messaging';
import { spendOfRuns } from '#libs/openai-gateway';
import type { Tx } from '#libs/postgres';
import { findDecisions } from './decisions.store.js';
import type { ExecutionRow, ExecutionStatus } from './execution.js';
import { toldWaiting } from './executions.store.js';
import { runEventMessage, type RunChangeEvent } from './run-messages.js';

/** Rows must be locked. A run that has told nothing yet, or whose details have expired, says nothing. */
export async function repeatNewestEvents(
  tx: Tx,
  outbox: Outbox,
  rows: readonly ExecutionRow[],
): Promise<void> {
  const told = rows.filter(isTold);
  if (told.length === 0) return;
  const changes = told.filter(isChange);
  const spent = await spendOfRuns(
    tx,
    changes.map((row) => row.run_id),
  );
  const answers = told.filter((row) => !isChange(row));
  const stored = await findDecisions(
    tx,
    answers.map((row) => ({ runId: row.run_id, decisionId: row.newest_event_id })),
  );
  outbox.append(
    tx,
    [
      ...changes.map((row) =>
        runEventMessage(row.newest_event, asTold(row), {
          id: row.newest_event_id,
          waiting: toldWaiting(row),
          spent: spent.get(row.run_id) ?? [],
          result: null,
          now: row.newest_event_at,
        }),
      ),
      ...stored.flatMap(({ answered }) => answered ?? []),
    ].map(asRepeat),
  );
}

/** Who has seen the message drops it by its id; who has not must know that what came before it is not on its way any more. */
export function asRepeat({ topic, message }: OutboxMessage): OutboxMessage {
  const headers = { ...message.headers, [repeatHeaders.repeated]: '1' };
  return { topic, message: { ...message, headers } };
}

type ToldRow = ExecutionRow & {
  readonly newest_event: RunEventName;
  readonly newest_event_id: string;
  readonly newest_event_at: Date;
};

function isTold(row: ExecutionRow): row is ToldRow {
  return row.newest_event !== null && row.expired_at === null;
}

function isChange(row: ToldRow): row is ToldRow & { readonly newest_event: RunChangeEvent } {
  return row.newest_event in statusTold;
}

/** Some changes tell nothing: a lease that ran out, a retry that was admitted. The event keeps saying what it said. */
function asTold(row: ToldRow & { readonly newest_event: RunChangeEvent }): ExecutionRow {
  return {
    ...row,
    status: statusTold[row.newest_event],
    next_attempt_at: row.told_waiting_until,
  };
}

const statusTold: Readonly<Record<RunChangeEvent, ExecutionStatus>> = {
  RunQueued: 'ready',
  RunWaiting: 'ready',
  RunStarted: 'running',
  RunProgressed: 'running',
  RunRetryScheduled: 'retrying',
  RunNeedsReview: 'needs_review',
  RunCompleted: 'completed',
  RunFailed: 'failed',
  RunCancelled: 'cancelled',
};
