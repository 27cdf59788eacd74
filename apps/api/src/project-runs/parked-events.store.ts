import { statement, type Database } from '#libs/postgres';
import type { RecordPosition } from '#libs/messaging';
import type { ParkReason } from '../schema/index.js';

/** An event that waits for the one before it, or for its run, to be known. */
export interface WaitingEvent {
  readonly id: string;
  readonly type: string;
  readonly data: unknown;
  readonly position: RecordPosition;
}

/** A record that nothing can be made of. */
export interface SetAside {
  readonly position: RecordPosition;
  readonly reason: Exclude<ParkReason, 'gap' | 'unknown_run'>;
  readonly problem: string;
  readonly eventId: string | null;
  readonly type: string | null;
  /** null for a body that is no JSON, or must not be kept. */
  readonly body: unknown;
}

/** Events that could not be applied when they came. What waits is taken up in the order of `version`. */
export class ParkedEventsStore {
  constructor(private readonly database: Database) {}

  async setAside(record: SetAside): Promise<void> {
    const { position, reason, problem, eventId, type, body } = record;
    await this.database.query(SET_ASIDE, [
      position.topic,
      position.partition,
      position.offset,
      reason,
      storableText(problem),
      eventId === null ? null : storableText(eventId),
      type === null ? null : storableText(type),
      body === null ? null : JSON.stringify(body),
    ]);
  }

  /** The waiting event that comes next for this run, now that the one before it is applied. */
  async nextOf(
    tenant: string,
    runUuid: string,
    version: number,
  ): Promise<WaitingEvent | undefined> {
    const { rows } = await this.database.query<ParkedRow>(NEXT_OF_RUN, [tenant, runUuid, version]);
    return rows.map(waitingEventOf)[0];
  }

  /** Runs with an event that has waited for `waitMs`: of each, the waiting event of the lowest version. */
  async overdue(waitMs: number, limit: number): Promise<WaitingEvent[]> {
    const { rows } = await this.database.query<ParkedRow>(OVERDUE, [waitMs, limit]);
    return rows.map(waitingEventOf);
  }

  /** How many there are of each reason, among 10,000. For metrics. */
  async countByReason(): Promise<readonly ReasonCount[]> {
    const { rows } = await this.database.query<ReasonCount>(COUNT_BY_REASON);
    return rows;
  }

  /** Nothing waits any more at this place of the log. */
  async setAsideInstead(event: WaitingEvent, reason: SetAside['reason'], problem: string) {
    const { topic, partition, offset } = event.position;
    const values = [topic, partition, offset, reason, storableText(problem)];
    await this.database.query(SET_ASIDE_INSTEAD, values);
  }
}

export interface ReasonCount {
  readonly reason: ParkReason;
  readonly events: number;
}

interface ParkedRow {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly eventId: string;
  readonly type: string;
  readonly body: unknown;
}

function waitingEventOf(row: ParkedRow): WaitingEvent {
  const position = {
    topic: row.topic,
    partition: row.partition,
    offset: row.offset.toString(),
    timestamp: 0,
  };
  return { id: row.eventId, type: row.type, data: row.body, position };
}

/** A text column refuses U+0000. */
function storableText(text: string): string {
  return text.replaceAll('\u0000', '').slice(0, 2_000);
}

const COLUMNS = 'p.topic, p."partition", p."offset", p.event_id AS "eventId", p.type, p.body';

const SET_ASIDE = statement(
  'api.parked-events.set-aside',
  `INSERT INTO api.parked_events (topic, "partition", "offset", reason, problem, event_id, type, body)
   VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
);

const SET_ASIDE_INSTEAD = statement(
  'api.parked-events.set-aside-instead',
  `UPDATE api.parked_events SET reason = $4, problem = $5 WHERE topic = $1 AND "partition" = $2 AND "offset" = $3`,
);

const NEXT_OF_RUN = statement(
  'api.parked-events.next-of-run',
  `SELECT ${COLUMNS} FROM api.parked_events p
   WHERE p.tenant = $1 AND p.run_id = $2 AND p.version = $3 AND p.reason IN ('gap', 'unknown_run') LIMIT 1`,
);

const OVERDUE = statement(
  'api.parked-events.overdue',
  `WITH overdue AS (
     SELECT tenant, run_id FROM api.parked_events
     WHERE reason IN ('gap', 'unknown_run') AND parked_at <= now() - make_interval(secs => $1::int / 1000.0)
     GROUP BY tenant, run_id ORDER BY min(parked_at) LIMIT $2
   )
   SELECT DISTINCT ON (p.tenant, p.run_id) ${COLUMNS}
   FROM overdue JOIN api.parked_events p USING (tenant, run_id)
   WHERE p.reason IN ('gap', 'unknown_run')
   ORDER BY p.tenant, p.run_id, p.version`,
);

const COUNT_BY_REASON = statement(
  'api.parked-events.count-by-reason',
  `SELECT reason, count(*)::int AS events FROM (SELECT reason FROM api.parked_events LIMIT 10000) p GROUP BY reason`,
);
