/** What runs have used and cost, from the ledger: every call that was sent, useful or not. */
import { nanoUsd, type NanoUsd } from '#libs/domain';
import { hotStatement, type Sql } from '#libs/postgres';
import { bookedOf, chargeOf, uncertainOf } from './charge.js';

/** Of one run, one model and one UTC day: the day on which the calls were sent (last). */
export interface RunSpend {
  /** `2026-11-26`. */
  readonly day: string;
  readonly model: string;
  /** Sent, whatever became of them. */
  readonly calls: number;
  /** Of these, calls whose tokens are counted: by OpenAI, or by us where the answer was found on an anchor. */
  readonly counted: number;
  readonly inputTokens: number;
  readonly cachedInputTokens: number;
  readonly outputTokens: number;
  readonly reasoningTokens: number;
  readonly booked: NanoUsd;
  /** Of calls that may have been paid, or are not over: at the most. */
  readonly uncertain: NanoUsd;
  /** Part of both: of calls that came after one that failed, and of sendings before the last. */
  readonly retries: NanoUsd;
}

/** By bare run UUID; a run that has sent nothing is not in the map. */
export async function spendOfRuns(
  sql: Sql,
  runIds: readonly string[],
): Promise<ReadonlyMap<string, readonly RunSpend[]>> {
  if (runIds.length === 0) return new Map();
  const { rows } = await sql.query<SpendRow>(SPEND, [runIds]);
  return Map.groupBy(rows.map(spendOf), ({ runId }) => runId);
}

type Money = 'booked' | 'uncertain' | 'retries';
type SpendRow = Omit<RunSpend, Money> & { readonly runId: string } & Readonly<
    Record<Money, bigint>
  >;

function spendOf({ booked, uncertain, retries, ...row }: SpendRow) {
  return {
    ...row,
    ...{ booked: nanoUsd(booked), uncertain: nanoUsd(uncertain), retries: nanoUsd(retries) },
  };
}

const tokens = (field: string) =>
  `coalesce(sum((c.usage ->> '${field}')::int), 0)::float8 AS "${field}"`;

const SPEND = hotStatement(
  'gateway.spend_of_runs',
  `SELECT c.run_id AS "runId", (c.sending_at AT TIME ZONE 'UTC')::date::text AS day, c.model, count(*)::int AS calls,
     count(c.usage)::int AS counted, ${tokens('inputTokens')}, ${tokens('cachedInputTokens')}, ${tokens('outputTokens')},
     ${tokens('reasoningTokens')}, sum(${bookedOf('c')})::bigint AS booked, sum(${uncertainOf('c')})::bigint AS uncertain,
     sum(CASE WHEN c.try > 0 THEN ${chargeOf('c')} ELSE c.reserved * c.lost_sendings END)::bigint AS retries
   FROM processor.calls c
   WHERE c.run_id = ANY($1::uuid[]) AND c.state <> 'planned' AND c.sending_at IS NOT NULL
   GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
);
