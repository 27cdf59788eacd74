/**
 * Takes runs out of their lanes, fairly over tenants and models, and makes them ours.
 *
 * (C1) Lanes first, then rows per lane by index: the cost does not grow with the number of runs that wait. Window functions
 *      can't lock rows, so the ranking is over lanes only.
 * (C2) SKIP LOCKED: two processors that claim at once take different runs.
 * (C3) The lane that is furthest behind comes first; within a claim every lane gets slots by its weight. A lane that was empty
 *      catches up by at most `CATCH_UP` runs, so that it can't starve the others afterwards.
 * (C4) What OpenAI's limits leave no room for is not taken, so that no run holds a slot only to wait. A tenant of whom nothing is
 *      in hand here is a guest: one run of each of its lanes may be taken all the same, unless nobody may call at all.
 * (C5) Lease, fence, attempt and RunStarted commit together. If the answer to the commit is lost, nobody renews the leases of
 *      this claim, and the rescuer takes the runs back.
 * (C6) A lane gives no more runs than the gateway has room for, none where it is shut: they would hold slots and wait. What is
 *      begun is claimed all the same, since calls of it may be open at OpenAI and have to be fetched; what is parked is not.
 */
import type { Outbox } from '#libs/messaging';
import { bumpFences, type LaneRoom } from '#libs/openai-gateway';
import { pauseAt } from '#libs/pause-points';
import {
  type Database,
  hotStatement,
  statement,
  type Statement,
  type Tx,
  uuidv7,
} from '#libs/postgres';
import { FIRST_FENCE, runEventMessage, type ExecutionRow } from '../schema/index.js';
import type { Claim } from './claim.js';
import type { ClaimRoom } from './claim-room.js';

/** Runs that one claim takes at most. */
export const MAX_CLAIM = 64;
const MAX_LANES = 64;
const CATCH_UP = 10;

export class ClaimRunsStore {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    private readonly owner: string,
    private readonly leaseMs: number,
  ) {}

  /** Up to `slots` runs, at most 64; fewer or none where no more are ready, or may be called (C4, C6). */
  async claim(
    slots: number,
    room: ClaimRoom = everyRoom,
    lanes: LaneRoom = allLanes,
  ): Promise<Claim[]> {
    const wanted = Math.min(slots, MAX_CLAIM);
    if (wanted <= 0) return [];
    const claims = await this.database.transaction(async (tx) => {
      const isTaking = isShut(lanes) && !room.guestsOnly;
      const begun = isTaking ? await this.take(tx, CLAIM_BEGUN, wanted, []) : [];
      const models = [...new Set([...room.runsByModel.keys(), ...lanes.byModel.keys()])];
      const left = Math.min(wanted - begun.length, lanes.inAll ?? MAX_CLAIM);
      const ready =
        left <= 0
          ? []
          : await this.take(tx, CLAIM, left, [
              ...[MAX_LANES, CATCH_UP, room.tenantsInHand, room.guestsOnly, models],
              models.map((model) => room.runsByModel.get(model) ?? null),
              models.map((model) => lanes.byModel.get(model) ?? null),
            ]);
      const taken = [...begun, ...ready];
      if (taken.length === 0) return [];
      await this.record(tx, taken);
      pauseAt('claim.before-commit');
      return taken.map((run) => ({ run, fence: run.fence, weight: run.weight }));
    });
    if (claims.length > 0) pauseAt('claim.after-commit');
    return claims;
  }

  private async take(
    tx: Tx,
    claim: Statement,
    wanted: number,
    lanes: readonly unknown[],
  ): Promise<ClaimedRow[]> {
    const ids = Array.from({ length: wanted }, () => uuidv7());
    const values = [wanted, this.owner, this.leaseMs, ids, ...lanes];
    return (await tx.query<ClaimedRow>(claim, values)).rows;
  }

  private async record(tx: Tx, rows: readonly ClaimedRow[]): Promise<void> {
    const hadOwners = rows.filter(({ fence }) => fence > FIRST_FENCE); // the others have no calls
    bumpFences(
      tx,
      hadOwners.map((row) => ({ runId: row.run_id, fence: row.fence })),
    );
    this.outbox.append(
      tx,
      rows.map((row) =>
        runEventMessage('RunStarted', row, {
          id: row.newest_event_id,
          waiting: null,
          spent: [],
          result: null,
          now: row.now,
        }),
      ),
    );
  }
}

const everyRoom: ClaimRoom = { tenantsInHand: [], guestsOnly: false, runsByModel: new Map() };

type ClaimedRow = ExecutionRow & {
  readonly now: Date;
  readonly newest_event_id: string;
  readonly weight: number;
};

const allLanes: LaneRoom = { inAll: null, byModel: new Map() };

const isShut = ({ inAll, byModel }: LaneRoom) => inAll === 0 || [...byModel.values()].includes(0);

const READY_IN_LANE = `e.status = 'ready' AND e.tenant = l.tenant AND e.model = l.model
  AND (e.next_attempt_at IS NULL OR e.next_attempt_at <= now())`;

/** From `picked` (run_id, place) to the rows as they are now. */
const CLAIMED = `claimed AS (
     UPDATE processor.executions e
     SET status = 'running', owner = $2, fence = e.fence + 1, version = e.version + 1, parked = false,
         lease_until = now() + make_interval(secs => $3::float8 / 1000), next_attempt_at = NULL, failure = NULL,
         started_at = coalesce(e.started_at, now()), newest_event = 'RunStarted', newest_event_id = ($4::uuid[])[picked.place],
         newest_event_at = now(), told_waiting_for = NULL, told_waiting_until = NULL, told_waiting_because = NULL
     FROM picked WHERE e.run_id = picked.run_id
     RETURNING e.*
   ), attempt AS (
     INSERT INTO processor.attempts (tenant, run_id, fence, attempt, dispatch, worker)
     SELECT tenant, run_id, fence, attempt, dispatch, owner FROM claimed
   )`;

/**
 * A lane that another claim holds is not advanced: this is fairness, not accounting.
 *
 * Whether a lane has work is asked by LATERAL … ORDER BY … LIMIT 1, which is one look into the index: EXISTS becomes a join, and
 * with it, by the mood of the planner's statistics, a scan of every run that waits.
 */
const CLAIM = hotStatement(
  'processor.executions.claim',
  `WITH lane AS MATERIALIZED (
     SELECT l.tenant, l.model, l.weight, r.room, r.in_lane,
       greatest(l.virtual_time, (SELECT max(virtual_time) FROM processor.lanes) - $6::int) AS behind
     FROM processor.lanes l
     LEFT JOIN unnest($9::text[], $10::int[], $11::int[]) AS r (model, room, in_lane) ON r.model = l.model
     CROSS JOIN LATERAL (
       SELECT FROM processor.executions e WHERE ${READY_IN_LANE} ORDER BY e.priority, e.seq LIMIT 1
     ) ready
     WHERE NOT l.paused AND r.in_lane IS DISTINCT FROM 0
       AND (l.tenant <> ALL($7::text[]) AND coalesce(r.room, 1) >= 0 OR NOT $8::boolean AND coalesce(r.room, 1) > 0)
     ORDER BY behind, l.tenant, l.model LIMIT $5::int
   ), share AS MATERIALIZED (
     SELECT tenant, model, behind, in_lane, CASE WHEN $8::boolean THEN 1 ELSE greatest(1, least(
         ceil($1::float8 * weight / sum(weight) OVER ()),
         ceil(room::float8 * weight / sum(weight) OVER (PARTITION BY model)), in_lane))::int END AS quota
     FROM lane
   ), taken AS MATERIALIZED (
     SELECT p.run_id, l.model, l.in_lane
     FROM share l CROSS JOIN LATERAL (
       SELECT e.run_id FROM processor.executions e WHERE ${READY_IN_LANE}
       ORDER BY e.priority, e.seq LIMIT l.quota FOR UPDATE SKIP LOCKED
     ) p
     ORDER BY l.behind, l.tenant, l.model LIMIT $1::int
   ), picked AS MATERIALIZED (
     SELECT run_id, row_number() OVER () AS place
     FROM (SELECT run_id, in_lane, row_number() OVER (PARTITION BY model) AS of_model FROM taken) t
     WHERE in_lane IS NULL OR of_model <= in_lane
   ), ${CLAIMED}, served AS (
     SELECT tenant, model, count(*) AS runs FROM claimed GROUP BY 1, 2
   ), free_lane AS (
     SELECT l.tenant, l.model, served.runs FROM processor.lanes l JOIN served USING (tenant, model)
     ORDER BY l.tenant, l.model FOR NO KEY UPDATE OF l SKIP LOCKED
   ), advanced AS (
     UPDATE processor.lanes l
     SET virtual_time = greatest(l.virtual_time, (SELECT max(virtual_time) FROM processor.lanes) - $6::int)
                        + f.runs::float8 / l.weight
     FROM free_lane f WHERE l.tenant = f.tenant AND l.model = f.model
   )
   SELECT claimed.*, now() AS now, lane.weight FROM claimed JOIN lane USING (tenant, model)`,
);

/** What was begun and is not parked, whatever its lane (C6): rarely more than a processor had in hand when it went. */
const CLAIM_BEGUN = statement(
  'processor.executions.claim_begun',
  `WITH taken AS MATERIALIZED (
     SELECT run_id FROM processor.executions
     WHERE status = 'ready' AND fence > 0 AND NOT parked AND (next_attempt_at IS NULL OR next_attempt_at <= now())
     ORDER BY priority, seq LIMIT $1::int FOR UPDATE SKIP LOCKED
   ), picked AS MATERIALIZED (
     SELECT run_id, row_number() OVER () AS place FROM taken
   ), ${CLAIMED}
   SELECT claimed.*, now() AS now, coalesce(l.weight, 1) AS weight
   FROM claimed LEFT JOIN processor.lanes l USING (tenant, model)`,
);
