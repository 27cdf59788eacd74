/** What runs have used, from the ledger: every call that has ended with a count, useful or not. */
import { statement, type Sql } from '#libs/postgres';

export interface RunUsage {
  /** Calls that OpenAI has answered with a count of tokens. */
  readonly calls: number;
  readonly inputTokens: number;
  readonly cachedInputTokens: number;
  readonly outputTokens: number;
  readonly reasoningTokens: number;
}

/** By bare run UUID; a run without such calls is not in the map. */
export async function usageOfRuns(
  sql: Sql,
  runIds: readonly string[],
): Promise<ReadonlyMap<string, RunUsage>> {
  if (runIds.length === 0) return new Map();
  const { rows } = await sql.query<RunUsage & { runId: string }>(USAGE, [runIds]);
  return new Map(rows.map(({ runId, ...usage }) => [runId, usage]));
}

const sum = (field: string) => `coalesce(sum((usage ->> '${field}')::int), 0)::int AS "${field}"`;

const USAGE = statement(
  'gateway.usage_of_runs',
  `SELECT run_id AS "runId", count(*)::int AS calls, ${sum('inputTokens')}, ${sum('cachedInputTokens')},
     ${sum('outputTokens')}, ${sum('reasoningTokens')}
   FROM processor.calls WHERE run_id = ANY($1::uuid[]) AND usage IS NOT NULL GROUP BY run_id`,
);
