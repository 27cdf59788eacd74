import {
  durationMs,
  RUN_REQUESTED,
  topics,
  workHeaders,
  type RunRequested,
  type SubmitRunBody,
} from '#libs/contracts';
import { defaultRetryPolicy, runIdOf } from '#libs/domain';
import type { OutboxMessage } from '#libs/messaging';
import type { Workflow } from '#libs/workflows';
import type { RunRow } from '../schema/index.js';

/** A run about to be accepted: its first row, and the message that will have it carried out. They commit together or not at all. */
export interface NewRun {
  readonly row: RunRow & { readonly idempotencyKey: string; readonly bodyHash: Buffer };
  readonly requested: OutboxMessage;
}

/** What the outside gives a new run: names, time, place of the input. */
export interface NewRunFacts {
  readonly tenant: string;
  readonly runUuid: string;
  readonly messageId: string;
  readonly now: Date;
  readonly idempotencyKey: string;
  readonly bodyHash: Buffer;
  readonly inputRef: string;
  readonly traceparent: string;
}

export function newRunOf(body: SubmitRunBody, workflow: Workflow, facts: NewRunFacts): NewRun {
  const row = firstRowOf(body, workflow, facts);
  return { row, requested: requestOf(row, facts) };
}

function firstRowOf(body: SubmitRunBody, workflow: Workflow, facts: NewRunFacts): NewRun['row'] {
  return {
    tenant: facts.tenant,
    id: facts.runUuid,
    idempotencyKey: facts.idempotencyKey,
    bodyHash: facts.bodyHash,
    workflow: workflow.name,
    workflowVersion: workflow.version,
    inputRef: facts.inputRef,
    documents: body.documents ?? [],
    priority: body.priority ?? 'interactive',
    deadlineAt: body.deadline ? new Date(facts.now.getTime() + durationMs(body.deadline)) : null,
    reference: body.reference ?? null,
    labels: body.labels ?? {},
    status: 'queued',
    version: 0,
    revision: 0,
    cancelling: false,
    redrivePending: false,
    discardPending: false,
    completionPending: false,
    attempt: 1,
    maxAttempts: workflow.retry.maxAttempts ?? defaultRetryPolicy.maxAttempts,
    waiting: null,
    nextAttemptAt: null,
    progress: null,
    usage: null,
    failure: null,
    resultRef: null,
    createdAt: facts.now,
    startedAt: null,
    endedAt: null,
    expiredAt: null,
  };
}

function requestOf(row: NewRun['row'], facts: NewRunFacts): OutboxMessage {
  const runId = runIdOf(row.id);
  const data: RunRequested = {
    runId,
    tenant: row.tenant,
    workflow: row.workflow,
    workflowVersion: row.workflowVersion,
    inputRef: facts.inputRef,
    documents: row.documents,
    priority: row.priority,
    deadlineAt: row.deadlineAt?.toISOString() ?? null,
    reference: row.reference,
    labels: row.labels,
  };
  return {
    topic: topics.runRequested,
    message: {
      id: facts.messageId,
      type: RUN_REQUESTED,
      subject: runId,
      time: facts.now,
      key: runId,
      correlationId: runId,
      traceparent: facts.traceparent,
      headers: { [workHeaders.dispatch]: '1', [workHeaders.hop]: '0' },
      data,
    },
  };
}
