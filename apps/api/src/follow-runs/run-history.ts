import { parseRunEvent, type RunHistoryEntry } from '#libs/contracts';
import { describeRun, type DescribableRun } from '#libs/domain';
import type { HistoryRow } from './follow-runs.store.js';

/** A fact as callers read it. */
export function historyEntryOf(row: HistoryRow): RunHistoryEntry {
  return {
    id: row.eventId,
    type: row.type,
    version: row.version,
    status: row.status,
    occurredAt: row.occurredAt.toISOString(),
    message: messageOf(row),
    data: row.body,
  };
}

/** The state after the event, in words as of the moment it happened. */
function messageOf(row: HistoryRow): string {
  const parsed = parseRunEvent({ type: row.type, data: row.body });
  const known: Partial<DescribableRun> = parsed.kind === 'parsed' ? parsed.value.data : {};
  return describeRun(
    {
      status: row.status,
      waiting: known.waiting ?? null,
      attempt: known.attempt ?? 1,
      maxAttempts: known.maxAttempts ?? 1,
      nextAttemptAt: known.nextAttemptAt ?? null,
      progress: known.progress ?? null,
      failure: known.failure ?? null,
      pending: null,
    },
    row.occurredAt.getTime(),
  );
}
