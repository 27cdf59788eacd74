/**
 * Lets calls be sent whose budgets cover them: one transaction for a batch of them.
 *
 * (Z1) The reservation and the ledger's `sending` commit together: a crash leaves neither alone. The reservation stands on the
 *      call's own row, and whoever ends the call settles it (`endCalls`).
 * (Z2) Calls are locked first, by id, then budgets, by key: everybody locks in that order, so nobody deadlocks.
 * (Z3) A budget is read and written under its row's lock: however many processes reserve at once, what is charged to it never
 *      exceeds the limit by a nano-dollar.
 * (Z4) A batch whose COMMIT was not answered is written again: a call that stands in this very sending is not reserved for twice.
 * (Z5) Days are UTC, by the database's clock. A call that is sent a second time is counted on the day of the first.
 */
import { nanoUsd, type NanoUsd } from '#libs/domain';
import { statement, type Database, type Tx } from '#libs/postgres';
import { beforeIsLost, mayBeSent } from '../ledger/call-statements.js';
import { decideReservations, keyOf, type Budget, type BudgetRefusal } from './budget.js';

export interface BudgetedSending {
  readonly callId: string;
  readonly from: 'planned' | 'unknown';
  readonly fence: bigint;
  readonly attempt: number;
  /** The conversation that it is sent on. */
  readonly anchor: string | null;
  readonly reserved: NanoUsd;
  readonly budgets: readonly Budget[];
}

export type Reservation =
  /** It stands in `sending`, and is paid for as far as the budgets go. */
  | { readonly kind: 'reserved' }
  /** We may not send. */
  | { readonly kind: 'not_ours' }
  | ({ readonly kind: 'refused' } & BudgetRefusal);

/** @param items in the order of their call ids, none twice */
export function reserveBudgets(
  database: Database,
  items: readonly BudgetedSending[],
): Promise<Reservation[]> {
  return database.transaction((tx) => reserveIn(tx, items));
}

interface LockedCall {
  readonly call_id: string;
  readonly may: boolean;
  /** (Z4) */
  readonly is_sending: boolean;
  readonly reserved: bigint;
  readonly budgets: readonly string[] | null;
  readonly today: string;
}

async function reserveIn(tx: Tx, items: readonly BudgetedSending[]): Promise<Reservation[]> {
  const column = <T>(pick: (item: BudgetedSending) => T) => items.map(pick);
  const { rows } = await tx.query<LockedCall>(LOCK_CALLS, [
    column(({ callId }) => callId),
    column(({ from }) => from),
    column(({ fence }) => fence),
    column(({ attempt }) => attempt),
  ]); // (Z2)
  const byId = new Map(rows.map((row) => [row.call_id, row]));
  const wanted = items.flatMap((item) => {
    const row = byId.get(item.callId);
    return row?.may && !row.is_sending ? [wantedOf(item, row)] : [];
  });
  const spent = await lockBudgets(tx, wanted);
  const decided = decideReservations(wanted, spent); // (Z3)
  const taken = wanted.filter((_, index) => decided[index] === 'reserved');
  await write(tx, taken);
  const refusals = new Map(wanted.map(({ callId }, index) => [callId, decided[index]]));
  return items.map(({ callId }) => {
    const row = byId.get(callId);
    const refusal = refusals.get(callId);
    if (!row?.may) return { kind: 'not_ours' };
    if (refusal === undefined || refusal === 'reserved') return { kind: 'reserved' };
    return { kind: 'refused', ...refusal };
  });
}

/** What it was reserved for once it is reserved for again (Z5). */
function wantedOf(item: BudgetedSending, row: LockedCall) {
  const { callId, from, attempt, anchor, budgets } = item;
  const amount = row.reserved > 0n ? nanoUsd(row.reserved) : item.reserved;
  const held = row.budgets ?? [];
  const keyed = budgets.map((budget) => {
    const before = held.find((key) => isSameBudget(key, budget));
    return { ...budget, key: before ?? keyOf(budget, row.today) };
  });
  const keys = new Set([...held, ...keyed.map(({ key }) => key)]);
  return { callId, from, attempt, anchor, amount, budgets: keyed, keys: [...keys] };
}

const isSameBudget = (key: string, { scope, name }: Budget): boolean =>
  key.startsWith(`${scope}/`) && key.endsWith(`/${name}`);

type Wanted = ReturnType<typeof wantedOf>;

/** Makes those rows that are missing; all are locked, in the order of their keys. */
async function lockBudgets(
  tx: Tx,
  wanted: readonly Wanted[],
): Promise<ReadonlyMap<string, NanoUsd>> {
  const keys = [...new Set(wanted.flatMap((each) => each.keys))];
  if (keys.length === 0) return new Map();
  const { rows } = await tx.query<{ key: string; spent: bigint }>(LOCK_BUDGETS, [
    keys,
    keys.map(dayOf),
  ]);
  return new Map(rows.map(({ key, spent }) => [key, nanoUsd(spent)]));
}

const dayOf = (key: string): string | null => (key.startsWith('run/') ? null : key.split('/')[1]!);

/** (Z1) */
async function write(tx: Tx, taken: readonly Wanted[]): Promise<void> {
  if (taken.length === 0) return;
  const sums = new Map<string, bigint>();
  for (const { amount, keys } of taken)
    for (const key of keys) sums.set(key, (sums.get(key) ?? 0n) + amount);
  await tx.query(WRITE, [
    taken.map(({ callId }) => callId),
    taken.map(({ from }) => from),
    taken.map(({ attempt }) => attempt),
    taken.map(({ anchor }) => anchor),
    taken.map(({ amount }) => amount),
    taken.map(({ keys }) => JSON.stringify(keys)),
    [...sums.keys()],
    [...sums.values()],
  ]);
}

const LOCK_CALLS = statement(
  'gateway.lock_budgeted_calls',
  `SELECT c.call_id, ${mayBeSent} AS may, c.state = 'sending' AS is_sending, c.reserved, c.budgets,
     (now() AT TIME ZONE 'UTC')::date::text AS today
   FROM processor.calls c
   JOIN unnest($1::uuid[], $2::text[], $3::bigint[], $4::int[]) AS w (call_id, from_state, fence, attempt) USING (call_id)
   ORDER BY c.call_id FOR NO KEY UPDATE OF c`,
);

const LOCK_BUDGETS = statement(
  'gateway.lock_budgets',
  `INSERT INTO processor.budgets AS b (key, day)
   SELECT key, day FROM unnest($1::text[], $2::date[]) AS w (key, day) ORDER BY key COLLATE "C"
   ON CONFLICT (key) DO UPDATE SET spent = b.spent RETURNING key, spent`,
);

const WRITE = statement(
  'gateway.send_within_budgets',
  `WITH sent AS (
     UPDATE processor.calls c
     SET state = 'sending', attempt_count = w.attempt, sending_at = now(), anchor = w.anchor,
         possible_duplicate = c.possible_duplicate OR ${beforeIsLost},
         lost_sendings = c.lost_sendings + ${beforeIsLost}::int, reserved = w.amount, cost = NULL,
         budgets = ARRAY(SELECT json_array_elements_text(w.budgets))
     FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::bigint[], $6::json[])
       AS w (call_id, from_state, attempt, anchor, amount, budgets)
     WHERE c.call_id = w.call_id)
   UPDATE processor.budgets b SET spent = b.spent + w.amount
   FROM unnest($7::text[], $8::bigint[]) AS w (key, amount) WHERE b.key = w.key`,
);
