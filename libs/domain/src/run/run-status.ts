/** The one vocabulary of run states, shared by code, tables, events, pages and logs. */
export const runStatuses = [
  'queued',
  'running',
  'retrying',
  'needs_review',
  'completed',
  'failed',
  'cancelled',
] as const;
export type RunStatus = (typeof runStatuses)[number];

export type TerminalRunStatus = Extract<RunStatus, 'completed' | 'failed' | 'cancelled'>;

export function isTerminal(status: RunStatus): status is TerminalRunStatus {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

/** Why a run that is not ended stands still at this moment. */
export const waitingReasons = [
  'backoff',
  'throttled',
  'outcome_unknown',
  'outage',
  'paused',
] as const;
export type WaitingReason = (typeof waitingReasons)[number];

export interface Waiting {
  readonly reason: WaitingReason;
  /** ISO 8601 instant at which the wait ends; null where nobody knows. */
  readonly until: string | null;
  /** Why, in words for people, where the reason alone does not say it: "the AI service refused our credentials". */
  readonly because?: string | null;
}

/** Measured progress. Items are null outside `map` steps. */
export interface RunProgress {
  /** The step's title, in words for people. */
  readonly step: string;
  readonly stepsDone: number;
  readonly stepsTotal: number;
  readonly itemsDone: number | null;
  readonly itemsTotal: number | null;
}

export const runPriorities = ['interactive', 'batch'] as const;
export type RunPriority = (typeof runPriorities)[number];
