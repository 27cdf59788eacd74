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
import { runPriorities, type RunPriority } from '#libs/domain';
import { BudgetPart } from './money-parts.js';

export const RUN_REQUESTED = 'dev.holdfast.run.requested.v1';

/** Code of a run whose request could not be read: it waits for a person, and whoever sends it on sends the request, too. */
export const REQUEST_UNREADABLE = 'request_unreadable';

/** Ask the processor to carry a run. Holds references; the input and the documents are in the content store. */
export class RunRequested {
  @Matches(/^run_[0-9a-f-]{36}$/)
  runId!: string;

  @IsString()
  @IsNotEmpty()
  tenant!: string;

  @IsString()
  @IsNotEmpty()
  workflow!: string;

  /** Pinned when the run was accepted. */
  @IsInt()
  @Min(1)
  workflowVersion!: number;

  /** The run's input, as JSON, in the content store. */
  @IsString()
  @IsNotEmpty()
  inputRef!: string;

  @IsArray()
  @IsString({ each: true })
  documents!: string[];

  @IsIn(runPriorities)
  priority!: RunPriority;

  /** The caller's deadline, wall-clock; null where there is none. */
  @IsOptional()
  @IsISO8601()
  deadlineAt!: string | null;

  /** The caller's own id for what this run is about. */
  @IsOptional()
  @IsString()
  reference!: string | null;

  @IsObject()
  labels!: Record<string, string>;

  /** What its model calls may cost together; absent or null: as much as they do. */
  @IsOptional()
  @ValidateNested()
  @Type(() => BudgetPart)
  budget?: BudgetPart | null;
}

/** On the dead-letter topic: a record of the work topics that could not be dispatched. Says why and where; holds no body. */
export const DISPATCH_REFUSED = 'dev.holdfast.run.dispatch-refused.v1';

export class DispatchRefused {
  @IsString()
  @IsNotEmpty()
  code!: string;

  /** Names the field, header or place that is wrong, never its content. */
  @IsString()
  reason!: string;

  /** SHA-256 of the record's value in hex; null where the record could be read. */
  @IsOptional()
  @IsString()
  bodyHash!: string | null;

  @IsOptional()
  @IsInt()
  sizeBytes!: number | null;
}
