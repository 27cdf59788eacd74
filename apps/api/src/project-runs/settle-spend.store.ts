/**
 * Takes in what became known of a run's spend after it had stopped or ended: it changes no state and no history, so it goes beside
 * the run's numbered events. In the order of (version, settlement) it has a place among them (P10 of project-events.store.ts).
 */
import type { RunSpendSettled } from '#libs/contracts';
import { uuidOf, type RunId } from '#libs/domain';
import { statement, type Database } from '#libs/postgres';
import { spendRowsOf, writeSpend } from './run-spend.js';

export type Settlement =
  | 'settled'
  /** Something newer is known, or the same. */
  | 'duplicate'
  /** The api has removed the run, and what it had spent. */
  | 'unknown_run';

export class SettleSpendStore {
  constructor(private readonly database: Pick<Database, 'query'>) {}

  async settle(told: RunSpendSettled): Promise<Settlement> {
    const { tenant, runId, afterVersion, settlement, cost, usage } = told;
    const { rows } = await this.database.query<{ outcome: Settlement }>(SETTLE, [
      ...[tenant, uuidOf(runId as RunId), afterVersion, settlement],
      ...[JSON.stringify(spendRowsOf(told)), JSON.stringify(cost), JSON.stringify(usage)],
    ]);
    return rows[0]!.outcome;
  }
}

/** The view follows where it has the event that this settles; where that comes later, the view shows what the event says. */
const SETTLE = statement(
  'api.project-events.settle',
  `WITH told AS (
     SELECT $1::text AS tenant, $2::uuid AS run_id, $3::int AS version, $4::int AS settlement, $5::json AS spend
   ), run AS (
     SELECT r.tenant, r.id, r.version FROM told JOIN api.runs r ON r.tenant = told.tenant AND r.id = told.run_id
     FOR NO KEY UPDATE OF r
   ), spent AS (${writeSpend('FROM told i JOIN run ON run.id = i.run_id', 'i.settlement')}
     RETURNING run_id
   ), shown AS (
     UPDATE api.runs r SET cost = $6::json, usage = $7::json, revision = r.revision + 1
     FROM run WHERE r.tenant = run.tenant AND r.id = run.id AND run.version >= $3::int AND EXISTS (SELECT FROM spent)
   )
   SELECT CASE WHEN EXISTS (SELECT FROM spent) THEN 'settled' WHEN EXISTS (SELECT FROM run) THEN 'duplicate'
            ELSE 'unknown_run' END AS outcome`,
);
