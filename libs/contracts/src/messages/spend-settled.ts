import { Type } from 'class-transformer';
import {
  IsArray,
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
import { CostPart, SpendPart } from './money-parts.js';
import { UsagePart } from './run-events.js';

/** `ce_type`. */
export const RUN_SPEND_SETTLED = 'dev.holdfast.run.spend-settled.v1';

/**
 * What a run has spent, after it has stopped or ended and something that was uncertain then has become known. No change of the run: it
 * has no `version`, no place in the run's order, and may follow its end. It tells the whole, and counts instead of what
 * `afterVersion`, any event before it, or a smaller `settlement` after the same version has told.
 */
export class RunSpendSettled {
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

  /** `version` of the run's newest event when this was found. */
  @IsInt()
  @Min(1)
  afterVersion!: number;

  /** From 1; grows by one with each that follows the same stop of the run. */
  @IsInt()
  @Min(1)
  settlement!: number;

  @IsISO8601()
  occurredAt!: string;

  @ValidateNested()
  @Type(() => UsagePart)
  usage!: UsagePart;

  @ValidateNested()
  @Type(() => CostPart)
  cost!: CostPart;

  /** By day and model. */
  @IsArray()
  @ValidateNested({ each: true })
  @Type(() => SpendPart)
  spend!: SpendPart[];

  @IsOptional()
  @IsString()
  reference!: string | null;

  @IsObject()
  labels!: Record<string, string>;
}
