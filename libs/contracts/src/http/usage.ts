import { IsOptional, Matches, ValidateBy } from 'class-validator';
import { rule } from './check-fields.js';

/** Days of one question at most. */
export const MAX_USAGE_DAYS = 92;
export const DEFAULT_USAGE_DAYS = 30;
/** Rows of one answer at most. */
export const MAX_USAGE_ROWS = 5_000;

const NAME = /^[^\p{Cc}\p{Cs}]{1,100}$/u;

/** Query of `GET /v1/usage`. Filters narrow each other. */
export class UsageQuery {
  /** First day, UTC; absent: 30 days up to `to`. */
  @IsOptional()
  @IsDay()
  from?: string;

  /** Last day, UTC; absent: today. */
  @IsOptional()
  @IsDay()
  to?: string;

  @IsOptional()
  @Matches(NAME, rule('must be a name', 'Send it once, as plain text.'))
  workflow?: string;

  @IsOptional()
  @Matches(NAME, rule('must be a name', 'Send it once, as plain text.'))
  model?: string;
}

function IsDay(): PropertyDecorator {
  return ValidateBy(
    { name: 'day', validator: { validate: isDay } },
    rule('is not a day', 'Send a day of the calendar, such as 2026-11-26.'),
  );
}

function isDay(value: unknown): boolean {
  if (typeof value !== 'string' || !/^\d{4}-\d{2}-\d{2}$/.test(value)) return false;
  const date = new Date(`${value}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(value);
}

/** Money in dollars, exact, as text. */
export interface UsageSums {
  /** Runs that have sent calls. */
  readonly runs: number;
  /** Calls that were sent, whatever became of them. */
  readonly calls: number;
  readonly inputTokens: number;
  readonly cachedInputTokens: number;
  readonly outputTokens: number;
  readonly bookedUsd: string;
  readonly uncertainUsd: string;
  readonly retriesUsd: string;
  /** Of all that is booked or uncertain, from 0 to 1; null where that is nothing. */
  readonly uncertainShare: number | null;
  readonly retriesShare: number | null;
}

export interface UsageRow extends UsageSums {
  readonly day: string;
  readonly tenant: string;
  readonly workflow: string;
  readonly model: string;
}

/** What `GET /v1/usage` answers: the caller's own tenant, newest day first. */
export interface UsageReport {
  readonly from: string;
  readonly to: string;
  readonly rows: readonly UsageRow[];
  readonly total: UsageSums;
}
