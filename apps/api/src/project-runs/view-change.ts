/**
 * What each event changes on a run's view. Pure: an event alone says what it sets, whatever stood there before, so that the
 * view is the fold of a run's history in the order of `version`.
 */
import type { CostPart, RunEvent, SpendingEvent, UsagePart } from '#libs/contracts';
import type { RunFailure, RunProgress, RunStatus, Waiting } from '#libs/domain';

/** Columns of `api.runs` that an event sets; what is absent keeps its value. Instants are ISO 8601. */
export interface ViewChange {
  readonly status: RunStatus;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly waiting?: Waiting | null;
  readonly next_attempt_at?: string | null;
  readonly failure?: RunFailure | null;
  /** null once completed: what was told last may be short of the end. */
  readonly progress?: RunProgress | null;
  readonly usage?: UsagePart;
  readonly cost?: CostPart;
  readonly result_ref?: string;
  /** Only the first start counts: see `foldChanges`. */
  readonly started_at?: string;
  readonly ended_at?: string;
}

export function viewChangeOf(event: RunEvent): ViewChange {
  const { status, attempt, maxAttempts, occurredAt } = event.data;
  const change = {
    status,
    attempt,
    max_attempts: maxAttempts,
    waiting: null,
    next_attempt_at: null,
    failure: null,
  };
  switch (event.name) {
    case 'RunQueued':
      return change;
    case 'RunWaiting':
      return { ...change, waiting: event.data.waiting };
    case 'RunStarted':
      return { ...change, started_at: occurredAt };
    case 'RunProgressed':
      return { ...change, progress: event.data.progress, waiting: event.data.waiting ?? null };
    case 'RunRetryScheduled': {
      const { waiting, nextAttemptAt, failure } = event.data;
      return { ...change, waiting, next_attempt_at: nextAttemptAt, failure };
    }
    case 'RunNeedsReview':
      return { ...change, failure: event.data.failure, ...spendingOf(event.data) };
    case 'RunFailed': {
      const { failure } = event.data;
      return { ...change, failure, ...spendingOf(event.data), ended_at: occurredAt };
    }
    case 'RunCancelled':
      return { ...change, ...spendingOf(event.data), ended_at: occurredAt };
    case 'RunDecisionApplied':
    case 'RunDecisionRefused':
      return { status, attempt, max_attempts: maxAttempts };
    case 'RunCompleted': {
      const { resultRef } = event.data;
      const ended = { progress: null, result_ref: resultRef, ended_at: occurredAt };
      return { ...change, ...spendingOf(event.data), ...ended };
    }
  }
}

/** Processors that know no prices yet tell no cost. */
const spendingOf = ({ usage, cost }: Pick<SpendingEvent, 'usage' | 'cost'>) =>
  cost ? { usage, cost } : { usage };

/** The result where it came inline: model output, so it is kept apart from what SQL looks into. */
export function inlineResultOf(event: RunEvent): unknown {
  return event.name === 'RunCompleted' ? event.data.result : undefined;
}

/** The change that a whole history makes, its events given in the order of `version`. */
export function foldChanges(changes: readonly ViewChange[]): Partial<ViewChange> {
  const started = changes.find((change) => change.started_at !== undefined);
  const folded: Partial<ViewChange> = Object.assign({}, ...changes) as Partial<ViewChange>;
  return started?.started_at === undefined ? folded : { ...folded, started_at: started.started_at };
}
