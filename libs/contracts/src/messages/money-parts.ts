/** Money as messages hold it: dollars in decimals, exact to the nano-dollar, as text: `"2.50"`. */
import { IsInt, IsOptional, IsString, Matches } from 'class-validator';

/** A day of the calendar, as in RFC 3339. */
export const DAY = /^\d{4}-\d{2}-\d{2}$/;
export const USD = /^\d{1,9}(\.\d{1,9})?$/;

export class BudgetPart {
  @Matches(USD)
  maxCostUsd!: string;
}

/** What a run's model calls have cost, useful or not. */
export class CostPart {
  /** Of calls whose use of tokens is known. */
  @Matches(USD)
  bookedUsd!: string;

  /** Of calls that may have been paid, or are not over: at the most. */
  @Matches(USD)
  uncertainUsd!: string;

  /** The run's budget; null: it has none. */
  @IsOptional()
  @Matches(USD)
  maxCostUsd!: string | null;
}

/** What a run has spent on one model on one day, as far as is known with this event. */
export class SpendPart {
  /** UTC: when the calls were sent. */
  @Matches(DAY)
  day!: string;

  /** As it was asked for. */
  @IsString()
  model!: string;

  /** Sent, whatever became of them. */
  @IsInt()
  calls!: number;

  @IsInt()
  inputTokens!: number;

  @IsInt()
  cachedInputTokens!: number;

  @IsInt()
  outputTokens!: number;

  @Matches(USD)
  bookedUsd!: string;

  /** Of lost calls and of calls that are not over: at the most. */
  @Matches(USD)
  uncertainUsd!: string;

  /** Part of the two above: of calls that came after one that failed, and of second sendings. */
  @Matches(USD)
  retriesUsd!: string;
}
