import { durationMs, type SubmitRunBody } from '#libs/contracts';
import { defaultRetryPolicy } from '#libs/domain';
import type { OutboxMessage } from '#libs/messaging';
import type { Workflow } from '#libs/workflows';
import { requestMessage, type RunRow } from '../schema/index.js';

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
  const { inputRef, messageId, now, traceparent } = facts;
  return { row, requested: requestMessage({ ...row, inputRef }, { messageId, now, traceparent }) };
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
    maxCostUsd: body.budget?.maxCostUsd ?? null,
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
    cost: null,
    failure: null,
    resultRef: null,
    createdAt: facts.now,
    startedAt: null,
    endedAt: null,
    expiredAt: null,
  };
}
