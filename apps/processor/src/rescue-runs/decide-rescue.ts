import { createHash } from 'node:crypto';
import { fingerprintSource, retryTiers, type RunFailure } from '#libs/domain';
import { unchanged, type ExecutionChange, type ExecutionRow } from '../schema/index.js';

/** Leases that a run may lose without progress; with the last of them a person is asked. */
export const MAX_LOST_LEASES = 3;

/**
 * A run that is to be cancelled ends here, or, where a call of it may still be running, is ready at once for an owner who
 * closes it: that its processors stopped says nothing then. Any other run whose lease has run out: after the first loss it is ready again at once, after the second by the first retry tier (its
 * worker may have died of it), after the third a person decides.
 */
export function decideRescue(row: ExecutionRow, hasOpenCall: boolean): ExecutionChange {
  if (row.cancel_requested) return decideCancelled(row, hasOpenCall);
  const lostLeases = row.lost_leases + 1;
  const base: ExecutionChange = {
    ...unchanged(row),
    to: 'ready',
    endedAs: 'lease_lost',
    lostLeases,
  };
  if (lostLeases === 1) return base;
  const failure = leaseLost(row, lostLeases);
  if (lostLeases < MAX_LOST_LEASES) {
    return {
      ...base,
      to: 'retrying',
      event: 'RunRetryScheduled',
      tries: row.tries + 1,
      dispatch: 'sent_again',
      delayMs: retryTiers[0]!.delayMs,
      waitingFor: 'backoff',
      failure,
    };
  }
  return { ...base, to: 'needs_review', event: 'RunNeedsReview', tries: row.tries + 1, failure };
}

function decideCancelled(row: ExecutionRow, hasOpenCall: boolean): ExecutionChange {
  const base: ExecutionChange = { ...unchanged(row), endedAs: 'lease_lost' };
  return hasOpenCall
    ? { ...base, to: 'ready' }
    : { ...base, to: 'cancelled', event: 'RunCancelled' };
}

function leaseLost(row: ExecutionRow, lostLeases: number): RunFailure {
  const said = {
    class: 'lease_lost',
    code: 'lease_lost',
    httpStatus: null,
    step: row.progress?.step ?? null,
    message: `${lostLeases} workers in a row stopped while they held this run, the last was ${row.owner ?? 'unknown'}`,
  } as const;
  const fingerprint = createHash('sha256')
    .update(fingerprintSource({ ...said, message: 'workers stopped' }, row.workflow))
    .digest('hex')
    .slice(0, 16);
  return { ...said, fingerprint, requestId: null, responseId: null, item: null, itemsFailed: null };
}
