import type { RunView } from '#libs/contracts';
import { describeRun, runIdOf, type DecisionName, type DescribableRun } from '#libs/domain';
import type { RunEntity } from './run.entity.js';

/** The select list that reads a row of `api.runs` (under the alias `r`) as a `RunEntity`. */
export const RUN_COLUMNS = `
  r.tenant, r.id, r.idempotency_key AS "idempotencyKey", r.body_hash AS "bodyHash", r.workflow,
  r.workflow_version AS "workflowVersion", r.input_ref AS "inputRef", r.documents, r.priority,
  r.deadline_at AS "deadlineAt", r.reference, r.labels, r.status, r.version, r.revision, r.cancelling,
  r.redrive_pending AS "redrivePending", r.discard_pending AS "discardPending",
  r.completion_pending AS "completionPending", r.attempt,
  r.max_attempts AS "maxAttempts", r.waiting, r.next_attempt_at AS "nextAttemptAt", r.progress, r.usage,
  r.cost, r.max_cost_usd AS "maxCostUsd",
  r.failure, r.result_ref AS "resultRef", r.created_at AS "createdAt", r.started_at AS "startedAt",
  r.ended_at AS "endedAt", r.expired_at AS "expiredAt"`;

/** What `RUN_COLUMNS` reads: all but the inline result, which only its own address serves, and what was asked about silence. */
export type RunRow = Omit<RunEntity, 'result' | 'movedAt' | 'asks' | 'askedAt' | 'confirmedAt'>;

/** A run as callers see it. `now` in epoch ms: the text for people says when the next try comes. */
export function runViewOf(run: RunRow, now: number): RunView {
  const self = `/v1/runs/${runIdOf(run.id)}`;
  return {
    id: runIdOf(run.id),
    tenant: run.tenant,
    workflow: run.workflow,
    workflowVersion: run.workflowVersion,
    status: run.status,
    version: run.version,
    revision: run.revision,
    cancelling: run.cancelling,
    redrivePending: run.redrivePending,
    discardPending: run.discardPending,
    completionPending: run.completionPending,
    supersededBy: null,
    message: describeRun(describableOf(run), now),
    waiting: run.waiting,
    attempt: run.attempt,
    maxAttempts: run.maxAttempts,
    nextAttemptAt: iso(run.nextAttemptAt),
    progress: run.progress,
    usage: run.usage,
    cost: run.cost,
    budget: run.maxCostUsd === null ? null : { maxCostUsd: run.maxCostUsd },
    reference: run.reference,
    labels: run.labels,
    priority: run.priority,
    documents: run.documents,
    deadlineAt: iso(run.deadlineAt),
    failure: run.failure,
    createdAt: run.createdAt.toISOString(),
    startedAt: iso(run.startedAt),
    endedAt: iso(run.endedAt),
    expiredAt: iso(run.expiredAt),
    links: {
      self,
      events: `${self}/events`,
      result: run.status === 'completed' && run.expiredAt === null ? `${self}/result` : null,
    },
  };
}

/**
 * Changes whenever the view does. Weak: the text for people also moves with the clock ("next try in about 40 s"),
 * which alone is no reason to send the view again.
 */
export function runETagOf(view: Pick<RunView, 'version' | 'revision' | 'result'>): string {
  const part = view.result === undefined ? '' : '.result'; // a view that holds it is not the same as one that does not
  return `W/"${view.version}.${view.revision}${part}"`;
}

function describableOf(run: RunRow): DescribableRun {
  return { ...run, nextAttemptAt: iso(run.nextAttemptAt), pending: pendingOf(run) };
}

/** The decision that is on its way; a cancel before any other. */
function pendingOf(run: RunRow): DecisionName | null {
  if (run.cancelling) return 'cancel';
  if (run.redrivePending) return 'redrive';
  if (run.discardPending) return 'discard';
  return run.completionPending ? 'complete' : null;
}

function iso(instant: Date | null): string | null {
  return instant?.toISOString() ?? null;
}
