import { Type } from 'class-transformer';
import {
  IsArray,
  IsIn,
  IsInt,
  IsISO8601,
  IsNotEmpty,
  IsObject,
  IsOptional,
  IsString,
  Matches,
  Min,
  ValidateNested,
} from 'class-validator';
import {
  decisionNames,
  decisionRefusals,
  failureClasses,
  runStatuses,
  waitingReasons,
  type DecisionName,
  type DecisionRefusal,
  type FailureClass,
  type RunFailure,
  type RunProgress,
  type RunStatus,
  type Waiting,
  type WaitingReason,
} from '#libs/domain';
import { CostPart, SpendPart } from './money-parts.js';

export class WaitingPart implements Waiting {
  @IsIn(waitingReasons)
  reason!: WaitingReason;

  @IsOptional()
  @IsISO8601()
  until!: string | null;

  /** Why, in words for people, where the reason alone does not say it. */
  @IsOptional()
  @IsString()
  because?: string | null;
}

export class ProgressPart implements RunProgress {
  @IsString()
  step!: string;

  @IsInt()
  stepsDone!: number;

  @IsInt()
  stepsTotal!: number;

  @IsOptional()
  @IsInt()
  itemsDone!: number | null;

  @IsOptional()
  @IsInt()
  itemsTotal!: number | null;
}

export class FailurePart implements RunFailure {
  @IsIn(failureClasses)
  class!: FailureClass;

  @IsString()
  code!: string;

  @IsOptional()
  @IsInt()
  httpStatus!: number | null;

  @IsOptional()
  @IsString()
  requestId!: string | null;

  @IsOptional()
  @IsString()
  responseId!: string | null;

  @IsString()
  message!: string;

  @IsString()
  fingerprint!: string;

  @IsOptional()
  @IsString()
  step!: string | null;

  @IsOptional()
  @IsInt()
  item!: number | null;

  @IsOptional()
  @IsInt()
  itemsFailed!: number | null;
}

/** Tokens that the run's model calls used, as OpenAI counted them. */
export class UsagePart {
  @IsInt()
  calls!: number;

  @IsInt()
  inputTokens!: number;

  @IsInt()
  cachedInputTokens!: number;

  @IsInt()
  outputTokens!: number;

  @IsInt()
  reasoningTokens!: number;
}

/**
 * A fact about a run. `version` grows by one per event of a run: a consumer applies only the next one, so replays are harmless.
 */
export class RunEventBase {
  @Matches(/^run_[0-9a-f-]{36}$/)
  runId!: string;

  @IsString()
  @IsNotEmpty()
  tenant!: string;

  @IsString()
  @IsNotEmpty()
  workflow!: string;

  @IsInt()
  @Min(1)
  workflowVersion!: number;

  @IsInt()
  @Min(1)
  version!: number;

  /** Where the run stands after this event. */
  @IsIn(runStatuses)
  status!: RunStatus;

  @IsISO8601()
  occurredAt!: string;

  /** 1-based attempt that is running, or that comes next. */
  @IsInt()
  attempt!: number;

  @IsInt()
  maxAttempts!: number;

  @IsOptional()
  @IsString()
  reference!: string | null;

  @IsObject()
  labels!: Record<string, string>;
}

/** An event at an end or a stop of the run tells what its calls have used and cost so far. */
export class SpendingEvent extends RunEventBase {
  @ValidateNested()
  @Type(() => UsagePart)
  usage!: UsagePart;

  @IsOptional()
  @ValidateNested()
  @Type(() => CostPart)
  cost?: CostPart;

  /** By day and model. */
  @IsOptional()
  @IsArray()
  @ValidateNested({ each: true })
  @Type(() => SpendPart)
  spend?: SpendPart[];
}

/** The run has to wait for a worker. */
export class RunQueued extends RunEventBase {}

/** It is queued, keeps its place, and nobody takes it up for now: its lane has an outage, is throttled or paused. */
export class RunWaiting extends RunEventBase {
  @ValidateNested()
  @Type(() => WaitingPart)
  waiting!: WaitingPart;
}

/** A processor works on it. */
export class RunStarted extends RunEventBase {}

/** Measured progress, at most one a second per run; `waiting` is set while a short wait stays in the process. */
export class RunProgressed extends RunEventBase {
  @ValidateNested()
  @Type(() => ProgressPart)
  progress!: ProgressPart;

  @IsOptional()
  @ValidateNested()
  @Type(() => WaitingPart)
  waiting!: WaitingPart | null;
}

/** Not running now; will be tried again at `nextAttemptAt`. */
export class RunRetryScheduled extends RunEventBase {
  @IsISO8601()
  nextAttemptAt!: string;

  @ValidateNested()
  @Type(() => WaitingPart)
  waiting!: WaitingPart;

  @ValidateNested()
  @Type(() => FailurePart)
  failure!: FailurePart;
}

/** Holdfast stopped on purpose; a person decides. */
export class RunNeedsReview extends SpendingEvent {
  @ValidateNested()
  @Type(() => FailurePart)
  failure!: FailurePart;
}

/** The result is stored. The one event that may hold model output, because its consumers asked for it. */
export class RunCompleted extends SpendingEvent {
  /** Inline while it is small (32 KB); else absent: fetch it by `resultRef` from the API. */
  @IsOptional()
  @IsObject()
  result?: Record<string, unknown>;

  @IsString()
  resultRef!: string;

  /** From acceptance by the processor to the result. */
  @IsInt()
  durationMs!: number;
}

/** It will not be tried again. */
export class RunFailed extends SpendingEvent {
  @ValidateNested()
  @Type(() => FailurePart)
  failure!: FailurePart;

  @IsInt()
  durationMs!: number;
}

/** It was stopped on request. What was spent until then is in `usage` and `cost`. */
export class RunCancelled extends SpendingEvent {
  @IsInt()
  durationMs!: number;
}

/** A person's decision was carried out. Comes right before the event of what it did; by itself it changes nothing. */
export class RunDecisionApplied extends RunEventBase {
  @Matches(/^dec_[0-9a-f-]{36}$/)
  decisionId!: string;

  @IsIn(decisionNames)
  decision!: DecisionName;
}

/** A person's decision was not carried out. It changes nothing. */
export class RunDecisionRefused extends RunEventBase {
  @Matches(/^dec_[0-9a-f-]{36}$/)
  decisionId!: string;

  @IsIn(decisionNames)
  decision!: DecisionName;

  @IsIn(decisionRefusals)
  code!: DecisionRefusal;

  /** One line for the person who decided. */
  @IsString()
  reason!: string;
}

const eventClasses = {
  RunQueued,
  RunWaiting,
  RunStarted,
  RunProgressed,
  RunRetryScheduled,
  RunNeedsReview,
  RunCompleted,
  RunFailed,
  RunCancelled,
  RunDecisionApplied,
  RunDecisionRefused,
} as const;

export type RunEventName = keyof typeof eventClasses;

/** What a decision is answered with. */
export type DecisionAnswerName = Extract<RunEventName, 'RunDecisionApplied' | 'RunDecisionRefused'>;

export const runEventNames = Object.keys(eventClasses) as readonly RunEventName[];

export type RunEvent = {
  [Name in RunEventName]: {
    readonly name: Name;
    readonly data: InstanceType<(typeof eventClasses)[Name]>;
  };
}[RunEventName];

const wireTypes: Readonly<Record<RunEventName, string>> = {
  RunQueued: 'dev.holdfast.run.queued.v1',
  RunWaiting: 'dev.holdfast.run.waiting.v1',
  RunStarted: 'dev.holdfast.run.started.v1',
  RunProgressed: 'dev.holdfast.run.progressed.v1',
  RunRetryScheduled: 'dev.holdfast.run.retry-scheduled.v1',
  RunNeedsReview: 'dev.holdfast.run.needs-review.v1',
  RunCompleted: 'dev.holdfast.run.completed.v1',
  RunFailed: 'dev.holdfast.run.failed.v1',
  RunCancelled: 'dev.holdfast.run.cancelled.v1',
  RunDecisionApplied: 'dev.holdfast.run.decision-applied.v1',
  RunDecisionRefused: 'dev.holdfast.run.decision-refused.v1',
};

/** `ce_type` of an event. */
export function wireTypeOf(name: RunEventName): string {
  return wireTypes[name];
}

/** The event that a `ce_type` names; undefined where this build does not know it. */
export function runEventNameOf(wireType: string): RunEventName | undefined {
  return (Object.keys(wireTypes) as RunEventName[]).find((name) => wireTypes[name] === wireType);
}

export function runEventClassOf(name: RunEventName): (typeof eventClasses)[RunEventName] {
  return eventClasses[name];
}
