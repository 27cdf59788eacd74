/**
 * What the processor says about a run: events, work for a retry tier, dead letters. Built from the row as it stands after the
 * change, inside the transaction that made it; ids are drawn here and live in the outbox row, so a relay that repeats itself
 * repeats the same message.
 */
import {
  retryTopic,
  RUN_REQUESTED,
  RUN_SPEND_SETTLED,
  springDeadLetterHeaders,
  topics,
  wireTypeOf,
  workHeaders,
  type DecisionAnswerName,
  type RunEvent,
  type RunEventBase,
  type RunEventName,
  type RunSpendSettled,
} from '#libs/contracts';
import {
  chooseTier,
  decisionIdOf,
  refusalReasons,
  retryTiers,
  runIdOf,
  type RunFailure,
  type Waiting,
} from '#libs/domain';
import type { OutboxMessage } from '#libs/messaging';
import type { RunSpend } from '#libs/openai-gateway';
import { RowRefusedError, uuidv7 } from '#libs/postgres';
import type { DecisionAnswer } from './decisions.store.js';
import { publicStatusOf, type ExecutionRow } from './execution.js';
import { toldSpendOf } from './told-spend.js';

/** What an event holds beyond the row. */
export interface EventFacts {
  /** `ce_id`. */
  readonly id: string;
  readonly waiting: Waiting | null;
  /** What its calls have used and cost, by model and day. */
  readonly spent: readonly RunSpend[];
  /** Small results travel in the event. */
  readonly result: Record<string, unknown> | null;
  readonly now: Date;
}

/** What is told of a change of the run; decisions are answered apart. */
export type RunChangeEvent = Exclude<RunEventName, DecisionAnswerName>;

export function runEventMessage(
  name: RunChangeEvent,
  row: ExecutionRow,
  facts: EventFacts,
): OutboxMessage {
  const data = { ...eventBase(row, facts.now), ...specificsOf(name, row, facts) };
  return {
    topic: topics.runEvents,
    message: { ...envelopeOf(row, facts.now), id: facts.id, type: wireTypeOf(name), data },
  };
}

/** What became of a decision. `status` is the run's before whatever the decision did: that is told by an event of its own. */
export function answerMessage(
  { decisionId, decision, refusal }: DecisionAnswer,
  row: ExecutionRow,
  at: Pick<ExecutionRow, 'version' | 'status'> & { readonly now: Date },
): OutboxMessage {
  const base = eventBase({ ...row, ...at }, at.now);
  const decided = { decisionId: decisionIdOf(decisionId), decision };
  const refused = refusal && { code: refusal, reason: refusalReasons[refusal] };
  return {
    topic: topics.runEvents,
    message: {
      ...envelopeOf(row, at.now),
      type: wireTypeOf(answerNameOf({ refusal })),
      data: { ...base, ...decided, ...refused },
    },
  };
}

export function answerNameOf({ refusal }: Pick<DecisionAnswer, 'refusal'>): DecisionAnswerName {
  return refusal === null ? 'RunDecisionApplied' : 'RunDecisionRefused';
}

/** What a run at rest has spent, as it is known now: no change of it, so it bears no version. */
export function spendSettledMessage(
  row: ExecutionRow,
  settled: Pick<EventFacts, 'spent' | 'now'> & { readonly settlement: number },
): OutboxMessage {
  const { spent, now, settlement } = settled;
  const { runId, tenant, workflow, workflowVersion, reference, labels } = eventBase(row, now);
  const data: RunSpendSettled = {
    ...{ runId, tenant, workflow, workflowVersion, reference, labels, settlement },
    ...{ afterVersion: row.version, occurredAt: now.toISOString() },
    ...toldSpendOf(spent, row.request.budget?.maxCostUsd ?? null),
  };
  const message = { ...envelopeOf(row, now), type: RUN_SPEND_SETTLED, data };
  return { topic: topics.runEvents, message };
}

/** The same work, by the tier that fits the wait. */
export function retryMessage(row: ExecutionRow, now: Date): OutboxMessage {
  const waitMs = (row.next_attempt_at?.getTime() ?? 0) - now.getTime();
  const tier = chooseTier(waitMs) ?? retryTiers[0]!;
  return {
    topic: retryTopic(tier),
    message: {
      ...envelopeOf(row, now),
      type: RUN_REQUESTED,
      headers: { ...retryHeaders(row), ...errorHeaders(row.failure) },
      data: row.request,
    },
  };
}

/**
 * Work that needs a person, with all that triage needs and no payload text.
 * @param worker who held the run; null: nobody has yet
 */
export function deadLetterMessage(
  row: ExecutionRow,
  worker: string | null,
  now: Date,
): OutboxMessage {
  return {
    topic: topics.runRequestedDeadLetters,
    message: {
      ...envelopeOf(row, now),
      type: RUN_REQUESTED,
      headers: {
        ...retryHeaders(row),
        ...errorHeaders(row.failure),
        ...(worker !== null && { [workHeaders.worker]: worker }),
        ...springHeaders(row),
      },
      data: row.request,
    },
  };
}

function envelopeOf(row: ExecutionRow, now: Date) {
  const runId = runIdOf(row.run_id);
  return {
    id: uuidv7(),
    subject: runId,
    key: runId,
    time: now,
    correlationId: runId,
    ...(row.traceparent !== null && { traceparent: row.traceparent }),
  };
}

function eventBase(row: ExecutionRow, now: Date): RunEventBase {
  return {
    runId: runIdOf(row.run_id),
    tenant: row.tenant,
    workflow: row.workflow,
    workflowVersion: row.workflow_version,
    version: row.version,
    status: publicStatusOf(row.status),
    occurredAt: now.toISOString(),
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    reference: row.request.reference ?? null,
    labels: row.request.labels,
  };
}

type Specifics<Name extends RunEventName> = Omit<
  Extract<RunEvent, { name: Name }>['data'],
  keyof RunEventBase
>;

function specificsOf(
  name: RunChangeEvent,
  row: ExecutionRow,
  { waiting, spent, result, now }: EventFacts,
): object {
  const durationMs = Math.max(0, now.getTime() - row.admitted_at.getTime());
  const failure = () => present(row.failure, name);
  const spending = () => toldSpendOf(spent, row.request.budget?.maxCostUsd ?? null);
  switch (name) {
    case 'RunQueued':
    case 'RunStarted':
      return {};
    case 'RunWaiting':
      return { waiting: present(waiting, name) } satisfies Specifics<'RunWaiting'>;
    case 'RunProgressed':
      return {
        progress: present(row.progress, name),
        waiting,
      } satisfies Specifics<'RunProgressed'>;
    case 'RunRetryScheduled':
      return {
        nextAttemptAt: present(row.next_attempt_at, name).toISOString(),
        waiting: present(waiting, name),
        failure: failure(),
      } satisfies Specifics<'RunRetryScheduled'>;
    case 'RunNeedsReview':
      return { failure: failure(), ...spending() } satisfies Specifics<'RunNeedsReview'>;
    case 'RunCompleted':
      return {
        ...(result !== null && { result }),
        resultRef: present(row.result_ref, name),
        ...spending(),
        durationMs,
      } satisfies Specifics<'RunCompleted'>;
    case 'RunFailed':
      return { failure: failure(), ...spending(), durationMs } satisfies Specifics<'RunFailed'>;
    case 'RunCancelled':
      return { ...spending(), durationMs } satisfies Specifics<'RunCancelled'>;
  }
}

function retryHeaders(row: ExecutionRow): Record<string, string> {
  return {
    [workHeaders.dispatch]: String(row.dispatch),
    [workHeaders.hop]: String(row.hop),
    [workHeaders.attempt]: String(row.attempt),
    [workHeaders.maxAttempts]: String(row.max_attempts),
    ...(row.next_attempt_at && { [workHeaders.notBefore]: String(row.next_attempt_at.getTime()) }),
    ...(row.first_failed_at && {
      [workHeaders.firstFailedAt]: String(row.first_failed_at.getTime()),
    }),
    [workHeaders.originalTopic]: row.origin.topic,
    [workHeaders.originalPartition]: String(row.origin.partition),
    [workHeaders.originalOffset]: row.origin.offset,
    [workHeaders.originalTimestamp]: String(row.origin.timestamp),
  };
}

/** The last failure only; its message is at most 1 KB where it is made. */
function errorHeaders(failure: RunFailure | null): Record<string, string> {
  if (failure === null) return {};
  return {
    [workHeaders.errorClass]: failure.class,
    [workHeaders.errorCode]: failure.code,
    [workHeaders.errorMessage]: failure.message,
    [workHeaders.errorFingerprint]: failure.fingerprint,
    ...(failure.httpStatus !== null && {
      [workHeaders.errorHttpStatus]: String(failure.httpStatus),
    }),
    ...(failure.requestId !== null && { [workHeaders.errorRequestId]: failure.requestId }),
    ...(failure.responseId !== null && { [workHeaders.errorResponseId]: failure.responseId }),
  };
}

function springHeaders(row: ExecutionRow): Record<string, string> {
  return {
    [springDeadLetterHeaders.originalTopic]: row.origin.topic,
    [springDeadLetterHeaders.originalPartition]: String(row.origin.partition),
    [springDeadLetterHeaders.originalOffset]: row.origin.offset,
    [springDeadLetterHeaders.exceptionClass]: `holdfast.${row.failure?.class ?? 'internal'}`,
    [springDeadLetterHeaders.exceptionMessage]: row.failure?.message ?? '',
  };
}

function present<T>(value: T | null, event: RunEventName): T {
  if (value === null) throw new RunEventIncompleteError(event);
  return value;
}

/** A bug: the change that was made is not the one that this event tells of. Nothing is committed. */
export class RunEventIncompleteError extends RowRefusedError {
  override readonly name = 'RunEventIncompleteError';
  readonly code = 'run_event_incomplete';
  constructor(event: RunEventName) {
    super(`${event} lacks what it has to tell`);
  }
}
