/**
 * What people decide about a run, as commands to the processor: on the requested topic, under the run's key, so that they keep
 * their place behind the run's own request. Answered on the events topic, by `RunDecisionApplied` or `RunDecisionRefused`.
 */
import { Type } from 'class-transformer';
import { IsNotEmpty, IsOptional, IsString, Matches, ValidateNested } from 'class-validator';
import type { DecisionName } from '#libs/domain';
import { BudgetPart } from './money-parts.js';

class DecisionBase {
  /** What tells a repeated command from a second decision. */
  @Matches(/^dec_[0-9a-f-]{36}$/)
  decisionId!: string;

  @Matches(/^run_[0-9a-f-]{36}$/)
  runId!: string;

  @IsString()
  @IsNotEmpty()
  tenant!: string;
}

class OptionallyReasoned extends DecisionBase {
  @IsOptional()
  @IsString()
  reason!: string | null;
}

/** Stop the run, wherever it stands. */
export class RunCancelRequested extends OptionallyReasoned {}

/** The cause is mended: carry on after the last finished step. */
export class RunRedriveRequested extends OptionallyReasoned {
  /** Takes the place of the run's budget; absent or null: that stays as it is. */
  @IsOptional()
  @ValidateNested()
  @Type(() => BudgetPart)
  budget?: BudgetPart | null;
}

/** Give the run up. */
export class RunDiscardRequested extends DecisionBase {
  @IsString()
  @IsNotEmpty()
  reason!: string;
}

/** Take this for the run's result. */
export class RunCompletionRequested extends OptionallyReasoned {
  /** The result in the content store, as JSON that meets the workflow's output contract. */
  @IsString()
  @IsNotEmpty()
  resultRef!: string;
}

const commandClasses = {
  cancel: RunCancelRequested,
  redrive: RunRedriveRequested,
  discard: RunDiscardRequested,
  complete: RunCompletionRequested,
} as const satisfies Readonly<Record<DecisionName, unknown>>;

export type DecisionCommand = {
  [Name in DecisionName]: {
    readonly decision: Name;
    readonly data: InstanceType<(typeof commandClasses)[Name]>;
  };
}[DecisionName];

const wireTypes: Readonly<Record<DecisionName, string>> = {
  cancel: 'dev.holdfast.run.cancel-requested.v1',
  redrive: 'dev.holdfast.run.redrive-requested.v1',
  discard: 'dev.holdfast.run.discard-requested.v1',
  complete: 'dev.holdfast.run.completion-requested.v1',
};

/** `ce_type` of the command that asks for a decision. */
export function decisionTypeOf(decision: DecisionName): string {
  return wireTypes[decision];
}

/** The decision that a `ce_type` asks for; undefined where it asks for none that this build knows. */
export function decisionNameOf(wireType: string): DecisionName | undefined {
  return (Object.keys(wireTypes) as DecisionName[]).find((name) => wireTypes[name] === wireType);
}

export function decisionCommandClassOf(
  decision: DecisionName,
): (typeof commandClasses)[DecisionName] {
  return commandClasses[decision];
}
