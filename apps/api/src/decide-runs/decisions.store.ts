/**
 * Where decisions about runs are kept.
 *
 * (K1) Decision, its mark on the view and the command to the processor commit together, under the lock of the run's row: rivals
 *      see each other, and the command's place in the outbox is drawn after the lock, behind the run's own request.
 * (K2) A mark is set here only and taken away by the processor's answer only (`project-runs`); each change of it is a revision.
 * (K3) A run whose request the processor could not read is sent on with its request: that lies before the redrive.
 */
import { REQUEST_UNREADABLE } from '#libs/contracts';
import type { DecisionName } from '#libs/domain';
import type { Outbox, OutboxMessage } from '#libs/messaging';
import { statement, uuidv7, type Database, type Sql, type Tx } from '#libs/postgres';
import {
  decisionMessage,
  requestMessage,
  RUN_COLUMNS,
  type DecisionEntity,
  type RunRow,
} from '../schema/index.js';
import { decideWish, type KnownDecision, type WishRuling } from './decide-wish.js';

/** What somebody wants for a run, and as whom. */
export interface DecisionWish {
  readonly tenant: string;
  readonly runUuid: string;
  readonly what: Wanted;
  /** The record that brought it, where it came over Kafka: delivered again, it is the same wish. */
  readonly commandId: string | null;
  readonly traceparent: string;
}

export type Wanted =
  | { readonly decision: 'cancel'; readonly reason: string | null }
  | {
      readonly decision: 'redrive';
      readonly reason: string | null;
      /** The run's budget from then on, in dollars; null: as it is. */
      readonly maxCostUsd: string | null;
    }
  | { readonly decision: 'discard'; readonly reason: string }
  | {
      readonly decision: 'complete';
      readonly reason: string | null;
      /** The result, in the content store. */
      readonly resultRef: string;
    };

export type Decided =
  | { readonly kind: 'run_unknown' }
  | { readonly kind: 'taken'; readonly decision: KnownDecision }
  | (Exclude<WishRuling, { readonly kind: 'take' }> & { readonly run: RunRow });

export class DecisionsStore {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
  ) {}

  /** Resolves when the decision is committed, or it is found that none comes of it. */
  decide(wish: DecisionWish): Promise<Decided> {
    return this.database.transaction((tx) => this.decideLocked(tx, wish));
  }

  async find(tenant: string, runUuid: string): Promise<RunRow | undefined> {
    const { rows } = await this.database.query<RunRow>(FIND, [tenant, runUuid]);
    return rows[0];
  }

  /** The run that a caller's key stands for. */
  async findByKey(tenant: string, idempotencyKey: string): Promise<string | undefined> {
    const values = [tenant, idempotencyKey];
    const { rows } = await this.database.query<{ id: string }>(FIND_BY_KEY, values);
    return rows[0]?.id;
  }

  /** Oldest first. */
  list(tenant: string, runUuid: string): Promise<DecisionRow[]> {
    return listOf(this.database, tenant, runUuid);
  }

  private async decideLocked(tx: Tx, wish: DecisionWish): Promise<Decided> {
    const { tenant, runUuid, what, commandId } = wish;
    const { decision, reason } = what;
    const { rows } = await tx.query<RunRow>(LOCK, [tenant, runUuid]); // (K1)
    const [run] = rows;
    if (!run) return { kind: 'run_unknown' };
    const known = await listOf(tx, tenant, runUuid);
    const ruling = decideWish({ decision, commandId }, run.status, known);
    if (ruling.kind !== 'take') return { ...ruling, run };

    const id = uuidv7();
    const now = new Date();
    const resultRef = what.decision === 'complete' ? what.resultRef : null;
    const maxCostUsd = what.decision === 'redrive' ? what.maxCostUsd : null;
    await tx.query(INSERT, [
      ...[tenant, runUuid, id, decision, reason, commandId, now, resultRef, maxCostUsd],
    ]);
    await tx.query(MARK, [tenant, runUuid, decision]);
    const contents = { reason, resultRef, maxCostUsd, commandId };
    const decided = { id, tenant, runUuid, decision, ...contents };
    const facts = { messageId: uuidv7(), now, traceparent: wish.traceparent };
    this.outbox.append(tx, [
      ...requestNeeded(run, decision, facts), // (K3)
      decisionMessage(decided, facts),
    ]);
    return { kind: 'taken', decision: { id, decision, state: 'pending', commandId } };
  }
}

export type DecisionRow = Omit<
  DecisionEntity,
  'tenant' | 'runId' | 'resultRef' | 'maxCostUsd' | 'asks' | 'askedAt'
>;

/** (K3) */
function requestNeeded(
  { inputRef, ...run }: RunRow,
  decision: DecisionName,
  { now, traceparent }: { readonly now: Date; readonly traceparent: string },
): OutboxMessage[] {
  const isNeeded = decision === 'redrive' && run.failure?.code === REQUEST_UNREADABLE;
  if (!isNeeded || inputRef === null) return [];
  const facts = { messageId: uuidv7(), now, traceparent, seenVersion: run.version };
  return [requestMessage({ ...run, inputRef }, facts)];
}

async function listOf(sql: Sql, tenant: string, runUuid: string): Promise<DecisionRow[]> {
  const { rows } = await sql.query<DecisionRow>(LIST, [tenant, runUuid]);
  return rows;
}

const FIND = statement(
  'api.decisions.find-run',
  `SELECT ${RUN_COLUMNS} FROM api.runs r WHERE r.tenant = $1 AND r.id = $2`,
);

const LOCK = statement(
  'api.decisions.lock-run',
  `SELECT ${RUN_COLUMNS} FROM api.runs r WHERE r.tenant = $1 AND r.id = $2 FOR NO KEY UPDATE`,
);

const FIND_BY_KEY = statement(
  'api.decisions.find-run-by-key',
  'SELECT r.id FROM api.runs r WHERE r.tenant = $1 AND r.idempotency_key = $2',
);

const LIST = statement(
  'api.decisions.list',
  `SELECT d.id, d.decision, d.state, d.reason, d.command_id AS "commandId", d.refusal_code AS "refusalCode",
          d.refusal_reason AS "refusalReason", d.decided_at AS "decidedAt", d.answered_at AS "answeredAt"
   FROM api.decisions d WHERE d.tenant = $1 AND d.run_id = $2 ORDER BY d.id`,
);

const INSERT = statement(
  'api.decisions.insert',
  `INSERT INTO api.decisions (tenant, run_id, id, decision, reason, command_id, decided_at, result_ref, max_cost_usd)
   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
);

/** (K2) */
const MARK = statement(
  'api.decisions.mark',
  `UPDATE api.runs r
   SET revision = r.revision + 1,
       cancelling = r.cancelling OR $3 = 'cancel',
       redrive_pending = r.redrive_pending OR $3 = 'redrive',
       discard_pending = r.discard_pending OR $3 = 'discard',
       completion_pending = r.completion_pending OR $3 = 'complete'
   WHERE r.tenant = $1 AND r.id = $2`,
);
