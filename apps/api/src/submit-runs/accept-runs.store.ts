/**
 * Writes accepted runs: row and request in one transaction, many runs per transaction under load.
 *
 * (A1) One key, one run: the unique index on (tenant, idempotency_key) decides, and it waits for a rival that is not yet
 *      committed. What loses finds the winner's row in the next statement of the same transaction.
 * (A2) A run and its request commit together; the request's place in the outbox is drawn after the row is locked.
 * (A3) A transaction that is done again because its COMMIT got no answer finds its own row by id: accepted, not replayed.
 */
import type { Outbox, OutboxRelay } from '#libs/messaging';
import { pauseAt } from '#libs/pause-points';
import {
  type Database,
  hotStatement,
  KeyedBatcher,
  type Sql,
  statement,
  type Tx,
} from '#libs/postgres';
import { RUN_COLUMNS, type RunRow } from '../schema/index.js';
import type { NewRun } from './new-run.js';

export type Acceptance =
  | { readonly kind: 'accepted'; readonly run: RunRow }
  /** The key was there before: the run that it stands for, and the body it came with. */
  | { readonly kind: 'key_taken'; readonly run: RunRow };

/** What makes one action one run. */
interface RunKey {
  readonly tenant: string;
  readonly idempotencyKey: string;
}

/** A caller waits: past a short fault of Postgres it is told to come back (503), and may with the same key. */
const MAX_RETRY_MS = 3_000;

export class AcceptRunsStore {
  private readonly acceptances: KeyedBatcher<NewRun, Acceptance>;
  private readonly lookUps: KeyedBatcher<RunKey, RunRow | undefined>;

  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    private readonly relay: Pick<OutboxRelay, 'hint'>,
  ) {
    this.acceptances = new KeyedBatcher<NewRun, Acceptance>({
      name: 'api.accept-runs',
      keyOf: ({ row }) => textOf(row),
      write: async (runs) => {
        const acceptances = await this.database.transaction((tx) => this.write(tx, runs));
        pauseAt('accept.after-commit');
        this.relay.hint();
        return acceptances;
      },
      retry: { maxRetryMs: MAX_RETRY_MS },
    });
    this.lookUps = new KeyedBatcher<RunKey, RunRow | undefined>({
      name: 'api.find-runs-by-key',
      keyOf: textOf,
      write: async (keys) => {
        const found = await findByKeys(this.database, keys);
        return keys.map((key) => found.get(textOf(key)));
      },
      retry: { maxRetryMs: MAX_RETRY_MS },
    });
  }

  /** Resolves when the run and its request are committed, or another run turned out to hold the key. */
  accept(run: NewRun): Promise<Acceptance> {
    return this.acceptances.push(run);
  }

  findByKey(tenant: string, idempotencyKey: string): Promise<RunRow | undefined> {
    return this.lookUps.push({ tenant, idempotencyKey });
  }

  private async write(tx: Tx, runs: readonly NewRun[]): Promise<Acceptance[]> {
    const inserted = await insert(tx, runs);
    const fresh = runs.filter(({ row }) => inserted.has(row.id));
    this.outbox.append(
      tx,
      fresh.map(({ requested }) => requested),
    ); // (A2)
    const others = runs.filter(({ row }) => !inserted.has(row.id)).map(({ row }) => row);
    const taken = others.length > 0 ? await findByKeys(tx, others) : new Map<string, RunRow>(); // (A1)
    pauseAt('accept.before-commit');
    return runs.map(({ row }) => {
      if (inserted.has(row.id)) return { kind: 'accepted', run: row };
      const winner = taken.get(textOf(row));
      if (!winner) throw new RunKeyVanishedError(row.idempotencyKey);
      return { kind: winner.id === row.id ? 'accepted' : 'key_taken', run: winner }; // (A3)
    });
  }
}

/** The run that held the key was removed between two statements: the same submit again makes a new run. */
class RunKeyVanishedError extends Error {
  override readonly name = 'RunKeyVanishedError';
  readonly code = 'run_key_vanished';
  constructor(idempotencyKey: string) {
    super(`the run that held the idempotency key ${idempotencyKey} is gone`);
  }
}

async function insert(tx: Tx, runs: readonly NewRun[]): Promise<Set<string>> {
  const column = <T>(pick: (row: NewRun['row']) => T) => runs.map(({ row }) => pick(row));
  const { rows } = await tx.query<{ id: string }>(INSERT, [
    column((row) => row.tenant),
    column((row) => row.id),
    column((row) => row.idempotencyKey),
    column((row) => row.bodyHash),
    column((row) => row.workflow),
    column((row) => row.workflowVersion),
    column((row) => row.inputRef),
    column((row) => JSON.stringify(row.documents)),
    column((row) => row.priority),
    column((row) => row.deadlineAt),
    column((row) => row.reference),
    column((row) => JSON.stringify(row.labels)),
    column((row) => row.status),
    column((row) => row.attempt),
    column((row) => row.maxAttempts),
    column((row) => row.createdAt),
    column((row) => row.maxCostUsd),
  ]);
  return new Set(rows.map(({ id }) => id));
}

async function findByKeys(sql: Sql, keys: readonly RunKey[]): Promise<Map<string, RunRow>> {
  const { rows } = await sql.query<RunRow & RunKey>(FIND_BY_KEYS, [
    keys.map(({ tenant }) => tenant),
    keys.map(({ idempotencyKey }) => idempotencyKey),
  ]);
  return new Map(rows.map((row) => [textOf(row), row]));
}

/** Neither half can hold a space. */
function textOf({ tenant, idempotencyKey }: RunKey): string {
  return `${tenant} ${idempotencyKey}`;
}

const INSERT = hotStatement(
  'api.accept-runs.insert',
  `INSERT INTO api.runs (tenant, id, idempotency_key, body_hash, workflow, workflow_version, input_ref, documents,
                         priority, deadline_at, reference, labels, status, attempt, max_attempts, created_at,
                         max_cost_usd)
   SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bytea[], $5::text[], $6::int[], $7::text[], $8::jsonb[],
                        $9::text[], $10::timestamptz[], $11::text[], $12::jsonb[], $13::text[], $14::int[], $15::int[],
                        $16::timestamptz[], $17::text[])
   ON CONFLICT (tenant, idempotency_key) DO NOTHING
   RETURNING id`,
);

const FIND_BY_KEYS = statement(
  'api.accept-runs.find-by-keys',
  `SELECT ${RUN_COLUMNS}
   FROM unnest($1::text[], $2::text[]) AS k(tenant, idempotency_key)
   JOIN api.runs r USING (tenant, idempotency_key)`,
);
