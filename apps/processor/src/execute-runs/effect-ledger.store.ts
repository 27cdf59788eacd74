/**
 * The effect ledger: what is sent outside, written before it is sent, so that nothing is done twice unawares. One row per
 * webhook step of a run.
 *
 *   planned → sending → done | failed (surely not taken; may be sent again)
 *               └────→ unknown (→ done, if the truth arrives after all; → planned, by a redrive)
 *
 * (F1) What is to be sent is written down when it is planned, and read from there for each sending: `compute` steps before it
 *      are computed again after a takeover, and must not change what a repeat says.
 * (F2) `sending` is committed before the first byte may leave, with the run's row locked: only under the fence of the claim,
 *      and only where no cancel is requested. So whoever takes the run from its owner needs no word with the ledger.
 * (F3) What came of a sending is written whoever owns the run by now, while the ledger still waits for that very sending.
 * (F4) Every write can be repeated: it is tried again for as long as the database is away.
 */
import { KeyedBatcher, statement, type Database, type Statement } from '#libs/postgres';
import type { DeliveryEnd, DeliveryFailure } from '#libs/webhooks';

export interface PlannedEffect {
  readonly tenant: string;
  readonly runId: string;
  readonly step: number;
  /** Bare UUID. */
  readonly effectId: string;
  readonly target: string;
  readonly idempotent: boolean;
  readonly body: Buffer;
}

export type EffectState =
  | { readonly state: 'planned' | 'sending' }
  | { readonly state: 'done'; readonly status: number }
  | { readonly state: 'failed' | 'unknown'; readonly failure: DeliveryFailure };

/** An effect as the ledger knows it. */
export type LedgerEffect = EffectState & {
  readonly effectId: string;
  readonly idempotent: boolean;
  /** As it was planned first (F1). */
  readonly body: Buffer;
  /** Sendings so far. */
  readonly attempt: number;
  /** Of the newest sending; null: it was never sent. */
  readonly sentTo: { readonly host: string; readonly at: Date } | null;
  /** The run is to be cancelled. */
  readonly cancelRequested: boolean;
};

export interface Sending {
  readonly runId: string;
  readonly effectId: string;
  readonly fence: bigint;
  readonly from: LedgerEffect['state'];
  /** Which sending of this effect, from 1. */
  readonly attempt: number;
  readonly host: string;
}

interface Write {
  readonly effectId: string;
  readonly statement: Statement;
  readonly values: readonly unknown[];
}

export class EffectLedger {
  private readonly writes: KeyedBatcher<Write, readonly EffectRow[]>;

  constructor(private readonly database: Database) {
    // A statement each, some side by side: an effect costs a round trip to somebody far away, and a run has few of them.
    this.writes = new KeyedBatcher({
      name: 'processor.effects',
      keyOf: ({ effectId }: Write) => effectId,
      write: (writes) => Promise.all(writes.map((write) => this.run(write))),
      ...{ maxItems: 4, spacingMs: 0, retry: { maxRetryMs: 300_000 } }, // (F4)
    });
  }

  /** Makes the effect's row, or finds it as others have left it. null: the run is no longer ours. */
  async open(effect: PlannedEffect, fence: bigint): Promise<LedgerEffect | null> {
    const { tenant, runId, step, effectId, target, idempotent, body } = effect;
    const values = [runId, fence, effectId, tenant, step, target, idempotent, body];
    const [row] = await this.writes.push({ effectId, statement: OPEN, values });
    return row ? ledgerEffectOf(row) : null;
  }

  /** False: it may not be sent (F2). */
  async markSending(sending: Sending): Promise<boolean> {
    const { runId, effectId, fence, from, attempt, host } = sending;
    const values = [runId, fence, effectId, from, attempt, host];
    return (await this.writes.push({ effectId, statement: SENDING, values })).length > 0;
  }

  /** Undoes `markSending` of a sending that did not leave, and will not. */
  async putBack({ effectId, from, attempt }: Sending): Promise<void> {
    await this.writes.push({ effectId, statement: PUT_BACK, values: [effectId, attempt, from] });
  }

  /** False: the ledger waits for another sending by now, or for none (F3). */
  async end(effectId: string, attempt: number, end: DeliveryEnd): Promise<boolean> {
    const { state, answer } = end;
    const isDone = state === 'done';
    const status = isDone ? end.status : end.failure.httpStatus;
    const failure = isDone ? null : JSON.stringify(end.failure);
    const values = [effectId, attempt, state, status, failure, answer];
    return (await this.writes.push({ effectId, statement: END, values })).length > 0;
  }

  /**
   * For a run that its owner ends as cancelled: nothing of it is on the wire here any more, so what is still `sending` was left
   * so by somebody who died. @returns of how many effects nobody knows whether they happened
   */
  async close(runId: string): Promise<number> {
    await this.database.query(CLOSE, [runId]);
    const { rows } = await this.database.query<{ unclear: number }>(UNCLEAR, [runId]);
    return rows[0]?.unclear ?? 0;
  }

  private async run({ statement, values }: Write): Promise<readonly EffectRow[]> {
    return (await this.database.query<EffectRow>(statement, values)).rows;
  }
}

interface EffectRow {
  readonly effect_id: string;
  readonly idempotent: boolean;
  readonly body: Buffer;
  readonly state: LedgerEffect['state'];
  readonly attempt_count: number;
  readonly sending_at: Date | null;
  readonly host: string | null;
  readonly http_status: number | null;
  readonly failure: DeliveryFailure | null;
  readonly cancel_requested: boolean;
}

function ledgerEffectOf(row: EffectRow): LedgerEffect {
  const { host, sending_at: at } = row;
  return {
    ...stateOf(row),
    effectId: row.effect_id,
    idempotent: row.idempotent,
    body: row.body,
    attempt: row.attempt_count,
    sentTo: host !== null && at !== null ? { host, at } : null,
    cancelRequested: row.cancel_requested,
  };
}

function stateOf({ effect_id, state, http_status, failure }: EffectRow): EffectState {
  const need = <T>(value: T | null, column: string): T => {
    if (value === null) throw new EffectRowBrokenError(effect_id, state, column);
    return value;
  };
  switch (state) {
    case 'planned':
    case 'sending':
      return { state };
    case 'done':
      return { state, status: need(http_status, 'http_status') };
    case 'failed':
    case 'unknown':
      return { state, failure: need(failure, 'failure') };
  }
}

/** The table's checks forbid it. */
export class EffectRowBrokenError extends Error {
  override readonly name = 'EffectRowBrokenError';
  readonly code = 'effect_row_broken';
  constructor(effectId: string, state: string, column: string) {
    super(`effect ${effectId} is ${state}, but its ${column} is empty`);
  }
}

/** An effect that is there is left as it is; that it is touched makes the statement answer with it, also when it is repeated. */
const OPEN = statement(
  'processor.effects.open',
  `WITH ours AS (
     SELECT run_id, cancel_requested FROM processor.executions
     WHERE run_id = $1::uuid AND fence = $2::bigint AND status = 'running' FOR NO KEY UPDATE
   )
   INSERT INTO processor.effects AS f (effect_id, tenant, run_id, step, target, idempotent, body)
   SELECT $3::uuid, $4, run_id, $5::int, $6, $7::bool, $8::bytea FROM ours
   ON CONFLICT (effect_id) DO UPDATE SET run_id = f.run_id
   RETURNING f.*, (SELECT cancel_requested FROM ours) AS cancel_requested`,
);

/** True again for the same sending, so that a lost answer to COMMIT can be asked again. */
const SENDING = statement(
  'processor.effects.sending',
  `WITH ours AS (
     SELECT run_id FROM processor.executions
     WHERE run_id = $1::uuid AND fence = $2::bigint AND status = 'running' AND NOT cancel_requested FOR NO KEY UPDATE
   )
   UPDATE processor.effects f
   SET state = 'sending', attempt_count = $5::int, fence = $2::bigint, host = $6, sending_at = now(),
       possible_duplicate = f.possible_duplicate OR $4 IN ('sending', 'unknown')
   FROM ours
   WHERE f.effect_id = $3::uuid AND f.run_id = ours.run_id
     AND ((f.state = $4 AND f.attempt_count = $5::int - 1)
       OR (f.state = 'sending' AND f.attempt_count = $5::int AND f.fence = $2::bigint))
   RETURNING f.*`,
);

/** That it did not leave is true also where somebody has called it unknown meanwhile. */
const PUT_BACK = statement(
  'processor.effects.put_back',
  `UPDATE processor.effects
   SET state = $3, attempt_count = $2::int - 1, failure = CASE WHEN $3 IN ('failed', 'unknown') THEN failure END
   WHERE effect_id = $1::uuid AND attempt_count = $2::int AND state IN ('sending', 'unknown')
   RETURNING *`,
);

/** That it is done is true also where somebody has called it unknown, or a person has given it up, meanwhile. */
const END = statement(
  'processor.effects.end',
  `UPDATE processor.effects
   SET state = $3, http_status = $4::int, failure = $5::json, answer = $6::bytea,
       ended_at = CASE WHEN $3 IN ('done', 'failed') THEN now() END
   WHERE effect_id = $1::uuid AND attempt_count = $2::int
     AND (state IN ('sending', $3) OR ($3 = 'done' AND state IN ('unknown', 'planned')))
   RETURNING *`,
);

const CLOSE = statement(
  'processor.effects.close',
  `UPDATE processor.effects
   SET state = 'unknown', failure = json_build_object('class', 'outcome_unknown', 'code', 'webhook_sender_died',
     'httpStatus', NULL, 'message', 'the run was cancelled after its processor had stopped', 'retryAfterMs', NULL)
   WHERE run_id = $1::uuid AND state = 'sending'`,
);

const UNCLEAR = statement(
  'processor.effects.unclear',
  `SELECT count(*)::int AS unclear FROM processor.effects WHERE run_id = $1::uuid AND state = 'unknown'`,
);
