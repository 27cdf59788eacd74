import type { RunStatus } from '#libs/domain';
import { statement, type Database } from '#libs/postgres';
import { RUN_COLUMNS, type RunEventEntity, type RunRow } from '../schema/index.js';

/** A fact of a run's history. */
export type HistoryRow = Omit<RunEventEntity, 'tenant'>;

/** Someone waits for what comes after `afterVersion`, and for a view revised after `afterRevision`. */
export interface Watch {
  readonly tenant: string;
  readonly runUuid: string;
  readonly afterVersion: number;
  /** null: for events only. */
  readonly afterRevision: number | null;
}

/** Something new of one run. */
export type RunNews =
  | { readonly kind: 'event'; readonly row: HistoryRow }
  /** The view has changed by what is no event: a decision was made or answered. Only how it stands now is told. */
  | { readonly kind: 'revised'; readonly run: RunRow };

export interface RunFilter {
  readonly tenant: string;
  readonly statuses: readonly RunStatus[] | null;
  readonly workflow: string | null;
  readonly reference: string | null;
  readonly idempotencyKey: string | null;
  /** The last id of the page before. */
  readonly beforeId: string | null;
  readonly limit: number;
}

export interface RunStanding {
  readonly id: string;
  /** Its history is gone. */
  readonly expired: boolean;
  readonly status: RunStatus;
  readonly version: number;
}

export interface RunResult {
  readonly status: RunStatus;
  readonly result: unknown;
  readonly resultRef: string | null;
}

/** A row of `NEWS`: an event, or nothing of one. */
type NewsRow = Omit<HistoryRow, 'eventId'> & {
  readonly place: bigint;
  readonly eventId: string | null;
};

/** Events of one run in one read, at most: more come with the next. */
export const EVENTS_PER_READ = 200;

/** Reads what callers follow. Writes nothing. */
export class FollowRunsStore {
  constructor(private readonly database: Database) {}

  async find(tenant: string, runUuid: string): Promise<RunRow | undefined> {
    const { rows } = await this.database.query<RunRow>(FIND, [tenant, runUuid]);
    return rows[0];
  }

  async findResult(tenant: string, runUuid: string): Promise<(RunRow & RunResult) | undefined> {
    const values = [tenant, runUuid];
    const { rows } = await this.database.query<RunRow & RunResult>(FIND_RESULT, values);
    return rows[0];
  }

  /** How far these runs have come, by UUID; a run that is not the tenant's is not there. */
  async findStanding(
    tenant: string,
    runUuids: readonly string[],
  ): Promise<ReadonlyMap<string, RunStanding>> {
    const { rows } = await this.database.query<RunStanding>(FIND_STANDING, [tenant, runUuids]);
    return new Map(rows.map((row) => [row.id, row]));
  }

  /** Newest first: ids are UUIDv7, so a page is cut by id and stays where it is while new runs come. */
  async list(filter: RunFilter): Promise<RunRow[]> {
    const { tenant, statuses, workflow, reference, idempotencyKey, beforeId, limit } = filter;
    const values: unknown[] = [tenant, limit];
    const narrowing = [
      [statuses, 'r.status = ANY(?)'],
      [workflow, 'r.workflow = ?'],
      [reference, 'r.reference = ?'],
      [idempotencyKey, 'r.idempotency_key = ?'],
      [beforeId, 'r.id < ?'],
    ] as const;
    const conditions = narrowing.flatMap(([value, condition]) => {
      if (value === null) return [];
      values.push(value);
      return [` AND ${condition.replace('?', `$${values.length}`)}`];
    });
    const { rows } = await this.database.query<RunRow>(
      `SELECT ${RUN_COLUMNS} FROM api.runs r WHERE r.tenant = $1${conditions.join('')}
       ORDER BY r.id DESC LIMIT $2`,
      values,
    );
    return rows;
  }

  async history(tenant: string, runUuid: string): Promise<HistoryRow[]> {
    const { rows } = await this.database.query<HistoryRow>(HISTORY, [tenant, runUuid]);
    return rows;
  }

  /** What each watch waits for; events first. One statement, and a second where a view was revised, which is rare. */
  async news(watches: readonly Watch[]): Promise<RunNews[][]> {
    const { rows } = await this.database.query<NewsRow>(NEWS, [
      watches.map((watch) => watch.tenant),
      watches.map((watch) => watch.runUuid),
      watches.map((watch) => watch.afterVersion),
      watches.map((watch) => watch.afterRevision),
    ]);
    const found: RunNews[][] = watches.map(() => []);
    const revised: number[] = [];
    for (const { place, eventId, ...row } of rows) {
      const index = Number(place) - 1;
      if (eventId === null) revised.push(index);
      else found[index]?.push({ kind: 'event', row: { ...row, eventId } });
    }
    if (revised.length > 0) await this.addRevised(watches, revised, found);
    return found;
  }

  private async addRevised(
    watches: readonly Watch[],
    places: readonly number[],
    found: readonly RunNews[][],
  ): Promise<void> {
    const { rows } = await this.database.query<RunRow>(FIND_SEVERAL, [
      places.map((place) => watches[place]?.tenant),
      places.map((place) => watches[place]?.runUuid),
    ]);
    const runs = new Map(rows.map((run) => [`${run.tenant} ${run.id}`, run]));
    for (const place of places) {
      const run = runs.get(`${watches[place]?.tenant} ${watches[place]?.runUuid}`);
      if (run) found[place]?.push({ kind: 'revised', run });
    }
  }
}

const EVENT_COLUMNS = `e.run_id AS "runId", e.version, e.event_id AS "eventId", e.type, e.status,
  e.occurred_at AS "occurredAt", e.body`;

const FIND = statement(
  'api.follow-runs.find',
  `SELECT ${RUN_COLUMNS} FROM api.runs r WHERE r.tenant = $1 AND r.id = $2`,
);

const FIND_RESULT = statement(
  'api.follow-runs.find-result',
  `SELECT ${RUN_COLUMNS}, r.result FROM api.runs r WHERE r.tenant = $1 AND r.id = $2`,
);

const FIND_STANDING = statement(
  'api.follow-runs.find-standing',
  'SELECT r.id, r.status, r.version, r.expired_at IS NOT NULL AS expired FROM api.runs r WHERE r.tenant = $1 AND r.id = ANY($2::uuid[])',
);

const HISTORY = statement(
  'api.follow-runs.history',
  `SELECT ${EVENT_COLUMNS} FROM api.run_events e WHERE e.tenant = $1 AND e.run_id = $2 ORDER BY e.version`,
);

const FIND_SEVERAL = statement(
  'api.follow-runs.find-several',
  `SELECT ${RUN_COLUMNS}
   FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::uuid[]) AS w(tenant, id)) AS w
   JOIN api.runs r ON r.tenant = w.tenant AND r.id = w.id`,
);

/** A row without an event says that the view was revised. */
const NEWS = statement(
  'api.follow-runs.news',
  `SELECT w.place, n.*
   FROM unnest($1::text[], $2::uuid[], $3::int[], $4::int[])
     WITH ORDINALITY AS w(tenant, run_id, after_version, after_revision, place),
   LATERAL ((SELECT ${EVENT_COLUMNS} FROM api.run_events e
             WHERE e.tenant = w.tenant AND e.run_id = w.run_id AND e.version > w.after_version
             ORDER BY e.version LIMIT ${EVENTS_PER_READ})
            UNION ALL
            SELECT r.id, NULL, NULL, NULL, NULL, NULL, NULL FROM api.runs r
            WHERE r.tenant = w.tenant AND r.id = w.run_id AND r.revision > w.after_revision) AS n
   ORDER BY w.place, n.version NULLS LAST`,
);
