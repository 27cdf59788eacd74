/**
 * What a call counts for, in SQL: over the columns of `processor.calls`, seen as `row`.
 *
 *   reserved        the most that one sending may cost; 0 while nothing may have left
 *   lost_sendings   sendings before the newest of which nobody knows what they cost
 *   cost            of the newest sending; null: not known, or not yet
 *
 * A budget is charged with what is booked and with what is uncertain. Nothing moves between them but `cost`, so a call that is
 * settled twice, or by two, is settled once.
 */
export const chargeOf = (row: string): string =>
  `(${row}.reserved * ${row}.lost_sendings + coalesce(${row}.cost, ${row}.reserved))`;

export const bookedOf = (row: string): string => `coalesce(${row}.cost, 0)`;

export const uncertainOf = (row: string): string =>
  `(${row}.reserved * ${row}.lost_sendings + CASE WHEN ${row}.cost IS NULL THEN ${row}.reserved ELSE 0 END)`;

/**
 * Follows on a CTE `changed (call_id, budgets, delta, …)` that has changed calls: the budgets that these are counted in follow, each
 * once, in the order of their keys, after the calls. Where no changed call has a budget it touches nothing.
 */
export const settleBudgets = (columns: string): string => `
   deltas AS (
     SELECT key, sum(changed.delta)::bigint AS delta FROM changed, unnest(changed.budgets) AS key
     WHERE changed.delta <> 0 GROUP BY key
   ), locked AS (
     SELECT b.key, d.delta FROM processor.budgets b JOIN deltas d ON d.key = b.key ORDER BY b.key FOR NO KEY UPDATE OF b
   ), settled AS (
     UPDATE processor.budgets b SET spent = greatest(0, b.spent + l.delta) FROM locked l WHERE b.key = l.key
   )
   SELECT ${columns} FROM changed`;
