/**
 * What an event says of the money that its run has spent: rows for `api.run_spend`. They are the whole of it so far, so the newest
 * word's rows take the place of what an earlier one said, and what comes twice, or late, changes nothing. Pure.
 */
import type { RunEvent, RunSpendSettled, SpendPart } from '#libs/contracts';
import { parseUsd, ZERO_USD } from '#libs/domain';

export interface RunSpendRow {
  readonly day: string;
  readonly model: string;
  readonly workflow: string;
  readonly calls: number;
  readonly input_tokens: number;
  readonly cached_input_tokens: number;
  readonly output_tokens: number;
  /** Nano-dollars, as text: JSON numbers are not exact. */
  readonly booked: string;
  readonly uncertain: string;
  readonly retries: string;
}

/** undefined: the event says nothing of it. One row for a day and model, also where an event should hold two. */
export function spendRowsOf(
  data: RunEvent['data'] | RunSpendSettled,
): readonly RunSpendRow[] | undefined {
  if (!('spend' in data) || !data.spend) return undefined;
  const { workflow } = data;
  const rows = data.spend.map((part) => rowOf(part, workflow));
  return [...new Map(rows.map((row) => [`${row.day} ${row.model}`, row])).values()];
}

function rowOf(part: SpendPart, workflow: string): RunSpendRow {
  const nanos = (dollars: string) => (parseUsd(dollars) ?? ZERO_USD).toString();
  return {
    ...{ day: part.day.slice(0, 10), model: part.model, workflow, calls: part.calls },
    input_tokens: part.inputTokens,
    cached_input_tokens: part.cachedInputTokens,
    output_tokens: part.outputTokens,
    booked: nanos(part.bookedUsd),
    uncertain: nanos(part.uncertainUsd),
    retries: nanos(part.retriesUsd),
  };
}

const columns =
  'day, model, workflow, calls, input_tokens, cached_input_tokens, output_tokens, booked, uncertain, retries';

/**
 * A row that is there gives way to a newer word only.
 * @param source a FROM clause with the runs `i (tenant, run_id, version, spend)`; `spend` holds rows as JSON, or null
 * @param settlement 0 for what an event itself tells
 */
export const writeSpend = (source: string, settlement: '0' | 'i.settlement'): string => `
     INSERT INTO api.run_spend AS known (tenant, run_id, version, settlement, ${columns})
     SELECT i.tenant, i.run_id, i.version, ${settlement}, s.* ${source},
       json_to_recordset(i.spend) AS s (day date, model text, workflow text, calls int, input_tokens bigint,
         cached_input_tokens bigint, output_tokens bigint, booked bigint, uncertain bigint, retries bigint)
     ON CONFLICT (tenant, run_id, day, model) DO UPDATE
       SET (version, settlement, ${columns}) = (SELECT excluded.version, excluded.settlement, excluded.day, excluded.model,
         excluded.workflow, excluded.calls, excluded.input_tokens, excluded.cached_input_tokens, excluded.output_tokens,
         excluded.booked, excluded.uncertain, excluded.retries)
       WHERE (known.version, known.settlement) < (excluded.version, excluded.settlement)`;
