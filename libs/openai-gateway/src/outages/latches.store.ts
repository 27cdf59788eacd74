/**
 * Latches in the database, so that every process knows them and none is set twice.
 *
 * (S1) One latch per lane is held at a time, by a unique index: whoever is first sets it, the others find his.
 * (S2) What is told of a latch commits with it: one fact when it is set, one when it is released.
 * (S3) A probe is taken by moving its time on: one process has it, and for no longer than until the next one is due. It is given
 *      back only while it is the newest.
 */
import { statement, uuidv7, type Database, type Tx } from '#libs/postgres';
import type { CallFailure } from '../model-call.js';
import type { LaneFaultClass } from './lane-fault.js';
import type { Lane, Latch } from './latch.js';

export type ReleasedBy = 'operator' | 'probe';

/** What the rest of the world is told, in the transaction that makes it so (S2). */
export type OutageFact =
  | { readonly kind: 'latched'; readonly latch: Latch }
  | {
      readonly kind: 'released';
      readonly latch: Latch;
      readonly releasedAt: Date;
      readonly releasedBy: ReleasedBy;
    };

export type TellOutage = (tx: Tx, fact: OutageFact) => void;

export interface FoundFault {
  readonly lane: Lane;
  readonly class: LaneFaultClass;
  readonly failure: Pick<CallFailure, 'code' | 'httpStatus' | 'requestId' | 'message' | 'breaker'>;
  readonly firstProbeMs: number;
}

export class LatchesStore {
  constructor(
    private readonly database: Database,
    private readonly tell: TellOutage,
  ) {}

  /** The lane's latch, and whether it is this one that set it; null: it was released at the same moment. */
  async set(found: FoundFault): Promise<{ latch: Latch; isOurs: boolean } | null> {
    const { lane, failure } = found;
    return this.database.transaction(async (tx) => {
      const made = await tx.query<Latch>(SET, [
        ...[uuidv7(), lane.account, lane.model, found.class],
        ...[failure.code, failure.httpStatus, failure.requestId, failure.message],
        found.firstProbeMs,
      ]); // (S1)
      const [latch] = made.rows;
      if (latch !== undefined) {
        this.tell(tx, { kind: 'latched', latch }); // (S2)
        return { latch, isOurs: true };
      }
      const held = await tx.query<Latch>(HELD_BY, [lane.account, lane.model]);
      return held.rows[0] === undefined ? null : { latch: held.rows[0], isOurs: false };
    });
  }

  /** Those that are held now. */
  async held(): Promise<readonly (Latch & { readonly isProbeDue: boolean })[]> {
    const { rows } = await this.database.query<Latch & { isProbeDue: boolean }>(HELD);
    return rows;
  }

  /** The number of the probe; null: another process has it (S3). */
  async takeProbe(latchId: string, nextInMs: number): Promise<number | null> {
    const taken = await this.database.query<Pick<Latch, 'probes'>>(TAKE_PROBE, [latchId, nextInMs]);
    return taken.rows[0]?.probes ?? null;
  }

  /** False: it is not the newest any more (S3). */
  async giveProbeBack(latchId: string, probe: number): Promise<boolean> {
    const { rowCount } = await this.database.query(GIVE_PROBE_BACK, [latchId, probe]);
    return rowCount > 0;
  }

  /** Null: it was released before, or never set. */
  async release(latchId: string, releasedBy: ReleasedBy): Promise<Latch | null> {
    return this.database.transaction(async (tx) => {
      const { rows } = await tx.query<Latch & { readonly releasedAt: Date }>(RELEASE, [
        latchId,
        releasedBy,
      ]);
      const [latch] = rows;
      if (latch === undefined) return null;
      const { releasedAt } = latch;
      this.tell(tx, { kind: 'released', latch, releasedAt, releasedBy }); // (S2)
      return latch;
    });
  }
}

const COLUMNS = `latch_id AS "latchId", account, model, class, code, http_status AS "httpStatus",
  request_id AS "requestId", message, latched_at AS "latchedAt", probes`;

const SET = statement(
  'gateway.latches.set',
  `INSERT INTO processor.latches
     (latch_id, account, model, class, code, http_status, request_id, message, probe_at)
   VALUES ($1::uuid, $2, $3, $4, $5, $6::int, $7, $8, now() + make_interval(secs => $9::float8 / 1000))
   ON CONFLICT (account, coalesce(model, '')) WHERE released_at IS NULL DO NOTHING
   RETURNING ${COLUMNS}`,
);

/** After a conflict: whoever was first has committed. */
const HELD_BY = statement(
  'gateway.latches.held_by',
  `SELECT ${COLUMNS} FROM processor.latches
   WHERE account = $1 AND coalesce(model, '') = coalesce($2, '') AND released_at IS NULL`,
);

const HELD = statement(
  'gateway.latches.held',
  `SELECT ${COLUMNS}, probe_at <= now() AS "isProbeDue" FROM processor.latches
   WHERE released_at IS NULL ORDER BY account, coalesce(model, '')`,
);

const TAKE_PROBE = statement(
  'gateway.latches.take_probe',
  `UPDATE processor.latches
   SET probes = probes + 1, probe_at = now() + make_interval(secs => $2::float8 / 1000)
   WHERE latch_id = $1::uuid AND released_at IS NULL AND probe_at <= now()
   RETURNING probes`,
);

const GIVE_PROBE_BACK = statement(
  'gateway.latches.give_probe_back',
  `UPDATE processor.latches SET probes = probes - 1, probe_at = now()
   WHERE latch_id = $1::uuid AND released_at IS NULL AND probes = $2::int`,
);

const RELEASE = statement(
  'gateway.latches.release',
  `UPDATE processor.latches SET released_at = now(), released_by = $2
   WHERE latch_id = $1::uuid AND released_at IS NULL
   RETURNING ${COLUMNS}, released_at AS "releasedAt"`,
);
