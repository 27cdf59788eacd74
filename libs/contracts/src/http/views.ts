import type { RunFailure, RunPriority, RunProgress, RunStatus, Waiting } from '#libs/domain';
import type { BudgetPart, CostPart } from '../messages/money-parts.js';
import type { UsagePart } from '../messages/run-events.js';

/** What `GET /v1/runs/{id}` and `POST /v1/runs` answer. Instants are ISO 8601. */
export interface RunView {
  readonly id: string;
  readonly tenant: string;
  readonly workflow: string;
  readonly workflowVersion: number;
  readonly status: RunStatus;
  /** Grows by one with each event of the run. */
  readonly version: number;
  /** Grows with each change of the view that no event made. */
  readonly revision: number;
  readonly cancelling: boolean;
  readonly redrivePending: boolean;
  readonly discardPending: boolean;
  readonly completionPending: boolean;
  readonly supersededBy: string | null;
  /** The state in words for the person who waits. */
  readonly message: string;
  readonly waiting: Waiting | null;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly nextAttemptAt: string | null;
  readonly progress: RunProgress | null;
  readonly usage: UsagePart | null;
  /** What its calls have cost, as told with its newest end or stop; null until then. */
  readonly cost: CostPart | null;
  readonly budget: BudgetPart | null;
  readonly reference: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly priority: RunPriority;
  readonly documents: readonly string[];
  readonly deadlineAt: string | null;
  readonly failure: RunFailure | null;
  /** Only for callers who prefer to wait (`Prefer: wait=20`), once the run is completed, and where it is small; else see `links.result`. */
  readonly result?: unknown;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  /** Since then its history and result are gone, and so are its reference, labels and documents; null: all is there. */
  readonly expiredAt: string | null;
  readonly links: {
    readonly self: string;
    readonly events: string;
    /** null until the run is completed, and once it is expired. */
    readonly result: string | null;
  };
}

/** What `GET /v1/runs` answers; the next page is in `Link: rel="next"` too. */
export interface RunPage {
  readonly runs: readonly RunView[];
  readonly next: string | null;
}

/** One fact of a run's history, as `GET /v1/runs/{id}/events` gives it in JSON and in a stream. */
export interface RunHistoryEntry {
  /** `ce_id` of the event: drop repeats by it. */
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly status: RunStatus;
  readonly occurredAt: string;
  /** The state after this event, in words. */
  readonly message: string;
  /** The event as it was published. */
  readonly data: unknown;
}

/** One event of `GET /v1/events`: a history entry that says of which run. */
export interface RunStreamEntry extends RunHistoryEntry {
  readonly runId: string;
}

/** `run.revised` of `GET /v1/events`: the view, which has changed without an event. */
export interface RunStreamView extends RunView {
  readonly runId: string;
}

export interface RunHistory {
  readonly events: readonly RunHistoryEntry[];
}

/** What `POST /v1/documents` answers. */
export interface DocumentView {
  readonly id: string;
  readonly fileName: string | null;
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** The same bytes were there before: nothing was stored twice. */
  readonly alreadyStored: boolean;
}
