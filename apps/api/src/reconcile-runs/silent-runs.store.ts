/**
 * Finds what has gone silent, and sends it again.
 *
 * (S1) Unfinished runs are walked page by page in the order of their keys, so that each comes up whatever the others do, and no
 *      index has to follow every change of a view.
 * (S2) What is sent again is remembered on its row in the same transaction. The row is locked and looked at once more: one that
 *      has moved meanwhile is left alone.
 * (S3) A run that has a row in the outbox is left alone: what it has to say is not lost, it has not left yet.
 */
import { runIdOf, uuidOf, type DecisionName, type RunId, type RunStatus } from '#libs/domain';
import type { Outbox } from '#libs/messaging';
import { statement, uuidv7, type Database, type Tx } from '#libs/postgres';
import { decisionMessage, requestMessage, type RequestedRun } from '../schema/index.js';
import type { Silence } from './decide-ask.js';

export interface RunKey {
  readonly tenant: string;
  /** Bare UUID. */
  readonly runUuid: string;
}

export interface SilentRun extends RunKey, Silence {
  readonly status: RunStatus;
  /** It was asked about before, and nothing was said. */
  readonly isStuck: boolean;
}

export interface SilentDecision extends RunKey, Silence {
  readonly status: 'pending';
  readonly decisionUuid: string;
}

/** One page of what is unfinished, and the database's clock. */
export interface Page<Each> {
  readonly nowMs: number;
  readonly silences: readonly Each[];
}

/** Before the first key. */
export const FROM_THE_START: RunKey = {
  tenant: '',
  runUuid: '00000000-0000-0000-0000-000000000000',
};

export class SilentRunsStore {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
  ) {}

  /** The unfinished runs that come after this one (S1). */
  async runsAfter({ tenant, runUuid }: RunKey, limit: number): Promise<Page<SilentRun>> {
    return pageOf(await this.database.query<SilentRun & Clock>(RUNS, [tenant, runUuid, limit]));
  }

  /** Decisions of so long a time without an answer, those first of which nothing was done for longest. */
  async decisions(withinMs: number, limit: number): Promise<Page<SilentDecision>> {
    return pageOf(await this.database.query<SilentDecision & Clock>(DECISIONS, [withinMs, limit]));
  }

  /** @returns those that were asked about */
  async askAboutRuns(runs: readonly SilentRun[]): Promise<SilentRun[]> {
    return this.database.transaction(async (tx) => {
      const { rows } = await tx.query<LockedRun>(LOCK_RUNS, [
        runs.map(({ tenant }) => tenant),
        runs.map(({ runUuid }) => runUuid),
      ]);
      const unsent = await unsentOf(tx, runs); // (S3)
      const versionOf = new Map(runs.map(({ runUuid, version }) => [runUuid, version]));
      const silent = rows.filter(
        ({ id, version }) => versionOf.get(id) === version && !unsent.has(id),
      ); // (S2)
      const now = new Date();
      await tx.query(NOTE_RUNS, [silent.map(({ tenant }) => tenant), silent.map(({ id }) => id)]);
      this.outbox.append(
        tx,
        silent.map((run) =>
          requestMessage(run, { messageId: uuidv7(), now, seenVersion: run.version }),
        ),
      );
      const asked = new Set(silent.map(({ id }) => id));
      return runs.filter(({ runUuid }) => asked.has(runUuid));
    });
  }

  /** @returns those that were asked about */
  async askAboutDecisions(decisions: readonly SilentDecision[]): Promise<SilentDecision[]> {
    return this.database.transaction(async (tx) => {
      const { rows } = await tx.query<LockedDecision>(LOCK_DECISIONS, [
        decisions.map(({ tenant }) => tenant),
        decisions.map(({ runUuid }) => runUuid),
        decisions.map(({ decisionUuid }) => decisionUuid),
      ]);
      const unsent = await unsentOf(tx, decisions); // (S3)
      const silent = rows.filter(({ runUuid }) => !unsent.has(runUuid));
      const now = new Date();
      await tx.query(NOTE_DECISIONS, [
        silent.map(({ tenant }) => tenant),
        silent.map(({ runUuid }) => runUuid),
        silent.map(({ id }) => id),
      ]);
      this.outbox.append(
        tx,
        silent.map((decision) => {
          const { version: seenVersion } = decision;
          return decisionMessage(decision, { messageId: uuidv7(), now, seenVersion });
        }),
      );
      const asked = new Set(silent.map(({ id }) => id));
      return decisions.filter(({ decisionUuid }) => asked.has(decisionUuid));
    });
  }
}

interface Clock {
  readonly nowMs: number;
}

type LockedRun = RequestedRun & { readonly version: number };

interface LockedDecision extends RunKey {
  readonly id: string;
  readonly decision: DecisionName;
  readonly reason: string | null;
  readonly resultRef: string | null;
  readonly maxCostUsd: string | null;
  readonly commandId: string | null;
  readonly version: number;
}

function pageOf<Each extends object>({
  rows,
}: {
  readonly rows: readonly (Each & Clock)[];
}): Page<Each> {
  return { nowMs: rows[0]?.nowMs ?? 0, silences: rows };
}

/** Bare ids of those with a row in the outbox. */
async function unsentOf(tx: Tx, runs: readonly RunKey[]): Promise<ReadonlySet<string>> {
  const keys = runs.map(({ runUuid }) => runIdOf(runUuid));
  const { rows } = await tx.query<{ key: RunId }>(UNSENT, [keys]);
  return new Set(rows.map(({ key }) => uuidOf(key)));
}

const epochMs = (column: string) => `(extract(epoch FROM ${column}) * 1000)::float8`;

const RUNS = statement(
  'api.silent-runs.page',
  `SELECT tenant, id AS "runUuid", status, version, ${epochMs('moved_at')} AS "sinceMs",
     ${epochMs('next_attempt_at')} AS "nextAttemptAtMs", asks, ${epochMs('asked_at')} AS "askedAtMs",
     asked_at IS NOT NULL AND (confirmed_at IS NULL OR confirmed_at < asked_at) AS "isStuck", ${epochMs('now()')} AS "nowMs"
   FROM api.runs WHERE ended_at IS NULL AND (tenant, id) > ($1::text, $2::uuid) AND input_ref IS NOT NULL
   ORDER BY tenant, id LIMIT $3`,
);

const DECISIONS = statement(
  'api.silent-decisions.page',
  `SELECT d.tenant, d.run_id AS "runUuid", d.id AS "decisionUuid", 'pending' AS status, 0 AS version,
     ${epochMs('d.decided_at')} AS "sinceMs", NULL::float8 AS "nextAttemptAtMs", d.asks,
     ${epochMs('d.asked_at')} AS "askedAtMs", ${epochMs('now()')} AS "nowMs"
   FROM api.decisions d
   WHERE d.state = 'pending' AND d.decided_at > now() - make_interval(secs => $1::float8 / 1000)
   ORDER BY coalesce(d.asked_at, d.decided_at) LIMIT $2`,
);

const LOCK_RUNS = statement(
  'api.silent-runs.lock',
  `SELECT r.tenant, r.id, r.workflow, r.workflow_version AS "workflowVersion", r.input_ref AS "inputRef", r.documents,
     r.priority, r.deadline_at AS "deadlineAt", r.reference, r.labels, r.max_cost_usd AS "maxCostUsd", r.version
   FROM unnest($1::text[], $2::uuid[]) AS k(tenant, id) JOIN api.runs r USING (tenant, id)
   WHERE r.ended_at IS NULL AND r.input_ref IS NOT NULL
   ORDER BY r.tenant, r.id FOR NO KEY UPDATE OF r`,
);

const LOCK_DECISIONS = statement(
  'api.silent-decisions.lock',
  `SELECT d.tenant, d.run_id AS "runUuid", d.id, d.decision, d.reason, d.result_ref AS "resultRef",
     d.max_cost_usd AS "maxCostUsd", d.command_id AS "commandId", r.version
   FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS k(tenant, run_id, id)
   JOIN api.decisions d USING (tenant, run_id, id) JOIN api.runs r ON r.tenant = d.tenant AND r.id = d.run_id
   WHERE d.state = 'pending'
   ORDER BY d.tenant, d.run_id, d.id FOR NO KEY UPDATE OF d`,
);

const UNSENT = statement(
  'api.silent-runs.unsent',
  'SELECT DISTINCT key FROM api.outbox WHERE key = ANY($1::text[])',
);

const NOTE_RUNS = statement(
  'api.silent-runs.note',
  `UPDATE api.runs r SET asks = asks + 1, asked_at = now()
   FROM unnest($1::text[], $2::uuid[]) AS k(tenant, id) WHERE r.tenant = k.tenant AND r.id = k.id`,
);

const NOTE_DECISIONS = statement(
  'api.silent-decisions.note',
  `UPDATE api.decisions d SET asks = asks + 1, asked_at = now()
   FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS k(tenant, run_id, id)
   WHERE d.tenant = k.tenant AND d.run_id = k.run_id AND d.id = k.id`,
);
