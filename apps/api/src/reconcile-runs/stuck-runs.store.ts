import { runIdOf } from '#libs/domain';
import { statement, type Database } from '#libs/postgres';

/** Runs that were asked about and of which nothing was heard since. */
export interface StuckRuns {
  readonly runs: number;
  /** Of the one that has been silent for longest; null: there is none. */
  readonly oldest: { readonly runId: string; readonly silentMs: number } | null;
}

/** How long an answer may take before nobody seems to have one. */
const ANSWER_MS = 10_000;

/** Reads by an index that holds only runs that were asked about. */
export class StuckRunsStore {
  constructor(
    private readonly database: Database,
    private readonly answerMs = ANSWER_MS,
  ) {}

  async find(): Promise<StuckRuns> {
    const { rows } = await this.database.query<StuckRow>(STUCK, [this.answerMs]);
    const [row] = rows;
    if (!row?.id || row.silentMs === null) return { runs: 0, oldest: null };
    return { runs: row.runs, oldest: { runId: runIdOf(row.id), silentMs: row.silentMs } };
  }
}

interface StuckRow {
  readonly runs: number;
  readonly id: string | null;
  readonly silentMs: number | null;
}

const STUCK = statement(
  'api.stuck-runs.find',
  `SELECT count(*)::int AS runs, (array_agg(id ORDER BY moved_at))[1] AS id,
     (extract(epoch FROM now() - min(moved_at)) * 1000)::float8 AS "silentMs"
   FROM (
     SELECT id, moved_at FROM api.runs
     WHERE asks > 0 AND ended_at IS NULL AND (confirmed_at IS NULL OR confirmed_at < asked_at)
       AND (asked_at < now() - make_interval(secs => $1::float8 / 1000) OR asks > 1 AND confirmed_at IS NULL)
     ORDER BY asked_at LIMIT 10000
   ) stuck`,
);
