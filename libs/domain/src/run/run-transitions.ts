import type { RunStatus } from './run-status.js';

/** What moves a run from one state to the next. */
export type RunTrigger =
  | 'submitted'
  | 'not_workable'
  | 'has_to_wait'
  | 'claimed'
  | 'progressed'
  | 'lease_lost'
  | 'released'
  | 'lane_paused'
  | 'will_retry'
  | 'finished'
  | 'needs_a_person'
  | 'cannot_succeed'
  | 'deadline_passed'
  | 'calls_to_close'
  | 'cancelled'
  | 'redriven'
  | 'completed_by_hand'
  | 'discarded'
  | 'superseded';

export interface RunTransition {
  /** null: the run does not exist yet. */
  readonly from: RunStatus | null;
  readonly trigger: RunTrigger;
  readonly to: RunStatus;
  /** The event that tells the world; null: nothing to tell (the view does not change). */
  readonly event: string | null;
  readonly by: 'api' | 'processor' | 'rescuer' | 'support' | 'caller';
}

type Row = readonly [
  from: RunStatus | null,
  trigger: RunTrigger,
  to: RunStatus,
  event: string | null,
  by: RunTransition['by'],
];

const table: readonly Row[] = [
  [null, 'submitted', 'queued', null, 'api'],

  ['queued', 'has_to_wait', 'queued', 'RunQueued', 'processor'],
  ['queued', 'lane_paused', 'queued', 'RunWaiting', 'processor'],
  ['queued', 'claimed', 'running', 'RunStarted', 'processor'],
  ['queued', 'deadline_passed', 'failed', 'RunFailed', 'rescuer'],
  ['queued', 'not_workable', 'needs_review', 'RunNeedsReview', 'processor'],
  ['queued', 'cancelled', 'cancelled', 'RunCancelled', 'caller'],

  ['running', 'progressed', 'running', 'RunProgressed', 'processor'],
  ['running', 'claimed', 'running', 'RunStarted', 'rescuer'],
  ['running', 'lease_lost', 'queued', 'RunQueued', 'rescuer'],
  ['running', 'released', 'queued', 'RunQueued', 'processor'],
  ['running', 'lane_paused', 'queued', 'RunWaiting', 'processor'],
  ['running', 'will_retry', 'retrying', 'RunRetryScheduled', 'processor'],
  ['running', 'finished', 'completed', 'RunCompleted', 'processor'],
  ['running', 'needs_a_person', 'needs_review', 'RunNeedsReview', 'processor'],
  ['running', 'cannot_succeed', 'failed', 'RunFailed', 'processor'],
  ['running', 'deadline_passed', 'failed', 'RunFailed', 'processor'],
  ['running', 'cancelled', 'cancelled', 'RunCancelled', 'caller'],

  ['retrying', 'claimed', 'running', 'RunStarted', 'processor'],
  ['retrying', 'has_to_wait', 'queued', 'RunQueued', 'processor'],
  ['retrying', 'calls_to_close', 'queued', 'RunQueued', 'caller'],
  ['retrying', 'cancelled', 'cancelled', 'RunCancelled', 'caller'],

  ['needs_review', 'redriven', 'queued', 'RunQueued', 'support'],
  ['needs_review', 'completed_by_hand', 'completed', 'RunCompleted', 'support'],
  ['needs_review', 'discarded', 'failed', 'RunFailed', 'support'],
  ['needs_review', 'superseded', 'failed', 'RunFailed', 'support'],
  ['needs_review', 'calls_to_close', 'queued', 'RunQueued', 'caller'],
  ['needs_review', 'cancelled', 'cancelled', 'RunCancelled', 'caller'],
];

/** Every transition a run may make. A (state, trigger) pair leads to one state. `docs/run-lifecycle.md` is drawn from it. */
export const runTransitions: readonly RunTransition[] = table.map(
  ([from, trigger, to, event, by]) => ({ from, trigger, to, event, by }),
);

/** The transition that `trigger` makes from `from`; undefined where it may not happen. */
export function findTransition(
  from: RunStatus | null,
  trigger: RunTrigger,
): RunTransition | undefined {
  return runTransitions.find((row) => row.from === from && row.trigger === trigger);
}

/** May a run that stands in `from` be seen in `to` next? */
export function mayFollow(from: RunStatus, to: RunStatus): boolean {
  return runTransitions.some((row) => row.from === from && row.to === to);
}
