/**
 * A run as the processor owns it: one row of `processor.executions`. Its states are the run's own, but for `ready`, which the
 * outside sees as `queued`.
 */
import type { RunEventName, RunRequested } from '#libs/contracts';
import type { RunFailure, RunProgress, RunStatus, WaitingReason } from '#libs/domain';

export type ExecutionStatus = Exclude<RunStatus, 'queued'> | 'ready';

export interface ExecutionRow {
  /** Bare UUID. */
  readonly run_id: string;
  readonly tenant: string;
  /** The lane that it waits in is (tenant, model). */
  readonly model: string;
  readonly priority: number;
  readonly workflow: string;
  readonly workflow_version: number;
  readonly request: RunRequested;
  readonly traceparent: string | null;
  readonly origin: Origin;
  readonly status: ExecutionStatus;
  readonly dispatch: number;
  readonly hop: number;
  /** 1-based. */
  readonly attempt: number;
  readonly max_attempts: number;
  /** Failures so far, those that used no attempt included. */
  readonly tries: number;
  readonly first_failed_at: Date | null;
  readonly next_attempt_at: Date | null;
  readonly deadline_at: Date | null;
  readonly version: number;
  /** What was told with this version; null: nothing yet. */
  readonly newest_event: RunEventName | null;
  /** Its `ce_id`; of an answer the id of the decision, under which the answer is stored. */
  readonly newest_event_id: string | null;
  readonly newest_event_at: Date | null;
  /** What it says that the run waits for. */
  readonly told_waiting_for: WaitingReason | null;
  readonly told_waiting_until: Date | null;
  readonly told_waiting_because: string | null;
  /** Given back because its call could not be sent for now: no call of it is open, and it waits with its lane. */
  readonly parked: boolean;
  readonly owner: string | null;
  readonly fence: bigint;
  readonly lost_leases: number;
  /** A cancel is stored, and not answered yet. */
  readonly cancel_requested: boolean;
  /** Fence at the last redrive; null: never redriven. */
  readonly redriven_fence: bigint | null;
  readonly progress: RunProgress | null;
  readonly failure: RunFailure | null;
  readonly result_ref: string | null;
  readonly admitted_at: Date;
  readonly started_at: Date | null;
  /** Since then the row is a tombstone: what a message would say is gone. */
  readonly expired_at: Date | null;
}

/** The fence that the first claim of a run gives it: before it nobody can have called the model or saved anything. */
export const FIRST_FENCE = 1n;

/** Where the run's first message lies; written once, carried by every retry and dead letter. */
export interface Origin {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly timestamp: number;
}

export function publicStatusOf(status: ExecutionStatus): RunStatus {
  return status === 'ready' ? 'queued' : status;
}
