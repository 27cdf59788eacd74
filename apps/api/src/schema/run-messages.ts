/**
 * What the api says to processors: that a run is to be carried out, and what people decide about it. Built from the rows, so that
 * what is sent again is what was sent first, under a new message id and marked as sent again.
 */
import {
  decisionTypeOf,
  repeatHeaders,
  RUN_REQUESTED,
  topics,
  workHeaders,
  type DecisionCommand,
  type RunRequested,
} from '#libs/contracts';
import { decisionIdOf, runIdOf, type DecisionName } from '#libs/domain';
import type { OutboxMessage } from '#libs/messaging';
import type { RunEntity } from './run.entity.js';

/** What a request says of its run. */
export type RequestedRun = Pick<
  RunEntity,
  | 'tenant'
  | 'id'
  | 'workflow'
  | 'workflowVersion'
  | 'documents'
  | 'priority'
  | 'deadlineAt'
  | 'reference'
  | 'labels'
  | 'maxCostUsd'
> & { readonly inputRef: string };

export interface MessageFacts {
  readonly messageId: string;
  readonly now: Date;
  /** Absent where nobody remembers it: whoever reads the message begins a trace. */
  readonly traceparent?: string;
  /** Sent again: the version of the run that the api has seen last. */
  readonly seenVersion?: number;
}

export function requestMessage(run: RequestedRun, facts: MessageFacts): OutboxMessage {
  const data: RunRequested = {
    runId: runIdOf(run.id),
    tenant: run.tenant,
    workflow: run.workflow,
    workflowVersion: run.workflowVersion,
    inputRef: run.inputRef,
    documents: run.documents,
    priority: run.priority,
    deadlineAt: run.deadlineAt?.toISOString() ?? null,
    reference: run.reference,
    labels: run.labels,
    ...(run.maxCostUsd !== null && { budget: { maxCostUsd: run.maxCostUsd } }),
  };
  const { headers = {}, ...envelope } = envelopeOf(run.id, facts);
  const work = {
    [workHeaders.dispatch]: '1',
    [workHeaders.hop]: '0',
    [workHeaders.tenant]: run.tenant,
    [workHeaders.workflow]: run.workflow,
    [workHeaders.workflowVersion]: String(run.workflowVersion),
  };
  return {
    topic: topics.runRequested,
    message: { ...envelope, type: RUN_REQUESTED, headers: { ...work, ...headers }, data },
  };
}

/** A decision as the command holds it. Ids are bare UUIDs. */
export interface CommandedDecision {
  readonly id: string;
  readonly tenant: string;
  readonly runUuid: string;
  readonly decision: DecisionName;
  readonly reason: string | null;
  /** Of a completion by hand. */
  readonly resultRef: string | null;
  /** Of a redrive: the budget that it brings along. */
  readonly maxCostUsd: string | null;
  /** The record that brought it, where it came over Kafka. */
  readonly commandId: string | null;
}

export function decisionMessage(decided: CommandedDecision, facts: MessageFacts): OutboxMessage {
  const { decision, reason, resultRef, maxCostUsd, commandId } = decided;
  const data: DecisionCommand['data'] = {
    ...{ decisionId: decisionIdOf(decided.id), runId: runIdOf(decided.runUuid) },
    ...{ tenant: decided.tenant, reason },
    ...(resultRef !== null && { resultRef }),
    ...(maxCostUsd !== null && { budget: { maxCostUsd } }),
  };
  return {
    topic: topics.runRequested,
    message: {
      ...envelopeOf(decided.runUuid, facts),
      ...{ type: decisionTypeOf(decision), data },
      ...(commandId !== null && { causationId: commandId }),
    },
  };
}

function envelopeOf(runUuid: string, { messageId, now, traceparent, seenVersion }: MessageFacts) {
  const runId = runIdOf(runUuid);
  return {
    ...{ id: messageId, subject: runId, key: runId, correlationId: runId, time: now },
    ...(traceparent !== undefined && { traceparent }),
    ...(seenVersion !== undefined && {
      headers: { [repeatHeaders.reemission]: String(seenVersion) },
    }),
  };
}
