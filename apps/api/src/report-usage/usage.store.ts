/** Adds up what the events of runs have told of their spend. */
import { statement, type Database } from '#libs/postgres';
import type { UsageFilter } from './usage-filter.js';

/** Of one day, workflow and model. Money in nano-dollars. */
export interface DaySpend {
  readonly day: string;
  readonly workflow: string;
  readonly model: string;
  readonly runs: number;
  readonly calls: number;
  readonly inputTokens: number;
  readonly cachedInputTokens: number;
  readonly outputTokens: number;
  readonly booked: bigint;
  readonly uncertain: bigint;
  readonly retries: bigint;
}

export class UsageStore {
  constructor(private readonly database: Pick<Database, 'query'>) {}

  /** Newest day first. */
  async spendOf(filter: UsageFilter, maxRows: number): Promise<DaySpend[]> {
    const { tenant, from, to, workflow, model } = filter;
    const values = [tenant, from, to, workflow, model, maxRows];
    const { rows } = await this.database.query<DaySpend>(SPEND, values);
    return rows;
  }
}

const SPEND = statement(
  'api.usage.spend',
  `SELECT day::text, workflow, model, count(DISTINCT run_id)::int AS runs, sum(calls)::float8 AS calls,
     sum(input_tokens)::float8 AS "inputTokens", sum(cached_input_tokens)::float8 AS "cachedInputTokens",
     sum(output_tokens)::float8 AS "outputTokens", sum(booked)::bigint AS booked, sum(uncertain)::bigint AS uncertain,
     sum(retries)::bigint AS retries
   FROM api.run_spend
   WHERE tenant = $1 AND day BETWEEN $2::date AND $3::date AND ($4::text IS NULL OR workflow = $4)
     AND ($5::text IS NULL OR model = $5)
   GROUP BY day, workflow, model ORDER BY day DESC, workflow, model LIMIT $6`,
);
