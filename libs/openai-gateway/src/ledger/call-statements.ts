/**
 * The ledger's statements. Each takes arrays, one element per call, no call twice, and locks in the order of call ids
 * (the rules of KeyedBatcher in libs/postgres). A row that does not fit the WHERE is left alone and not returned.
 */
import { hotStatement, statement } from '#libs/postgres';
import { bookedOf, chargeOf, settleBudgets } from '../money/charge.js';

const sentAgo = `(extract(epoch FROM now() - sending_at) * 1000)::float8 AS sent_ago_ms`;
const fencedAgo = `CASE WHEN fenced_attempt = attempt_count THEN (extract(epoch FROM now() - fenced_at) * 1000)::float8 END
     AS fenced_ago_ms`;
const row = `call_id, state, fence, cancel_requested, attempt_count, account, response_id, request_id, served_model, output,
     usage, failure, anchor, ${sentAgo}, ${fencedAgo}`;
/** Not EXISTS: planned while the table is empty, it would read all of it into a hash (D6 of libs/postgres). */
const isStopped = (of: string) =>
  `(SELECT true FROM processor.call_stops s WHERE s.run_id = ${of}.run_id) IS NOT NULL`;
const foundAgain = `fence = CASE WHEN c.state IN ('done', 'failed', 'cancelled') THEN c.fence ELSE greatest(c.fence, excluded.fence) END,
       cancel_requested = c.cancel_requested OR excluded.cancel_requested`;

/**
 * Makes the row, or finds it and brings its fence up to ours: from then on an older owner cannot send. A new row bears the run's fence
 * where that is higher: a later owner has the run, who has not opened this call yet. Ended calls keep theirs.
 */
export const openCalls = hotStatement(
  'gateway.open_calls',
  `INSERT INTO processor.calls AS c (call_id, tenant, run_id, step, item, try, fence, mode, model, account,
                                     cancel_requested)
   SELECT call_id, tenant, w.run_id, step, item, try, greatest(w.fence, f.fence), mode, model, account,
     ${isStopped('w')}
   FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::int[], $5::int[], $6::int[], $7::bigint[], $8::text[], $9::text[],
               $10::text[])
     AS w (call_id, tenant, run_id, step, item, try, fence, mode, model, account)
     LEFT JOIN processor.run_fences f ON f.run_id = w.run_id
   ORDER BY call_id
   ON CONFLICT (call_id) DO UPDATE
     SET ${foundAgain}
   RETURNING ${row}`,
);

/**
 * The same, but a call that nobody has opened before stands in `sending` at once, unless its run is stopped or a later owner's.
 * `sender` tells whose statement made the row: true again for the same sender, so that a lost COMMIT answer can be asked again.
 */
export const openSending = hotStatement(
  'gateway.open_sending',
  `INSERT INTO processor.calls AS c (call_id, tenant, run_id, step, item, try, fence, mode, model, account, sender,
                                     cancel_requested, state, attempt_count, sending_at, reserved, anchor)
   SELECT call_id, tenant, w.run_id, step, item, try, greatest(w.fence, f.fence), mode, model, account, sender, stopped,
     CASE WHEN may.send THEN 'sending' ELSE 'planned' END, may.send::int, CASE WHEN may.send THEN now() END,
     CASE WHEN may.send THEN reserved ELSE 0 END, CASE WHEN may.send THEN anchor END
   FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::int[], $5::int[], $6::int[], $7::bigint[], $8::text[], $9::text[],
               $10::text[], $11::uuid[], $12::bigint[], $13::text[])
     AS w (call_id, tenant, run_id, step, item, try, fence, mode, model, account, sender, reserved, anchor)
     LEFT JOIN processor.run_fences f ON f.run_id = w.run_id
     CROSS JOIN LATERAL (SELECT ${isStopped('w')} AS stopped) AS run
     CROSS JOIN LATERAL (SELECT NOT stopped AND w.fence >= coalesce(f.fence, w.fence) AS send) AS may
   ORDER BY call_id
   ON CONFLICT (call_id) DO UPDATE
     SET ${foundAgain}
   RETURNING ${row}, sender`,
);

/** Of a locked call `c` and the sending `w` that is wanted of it. */
export const mayBeSent = `(c.fence = w.fence AND NOT c.cancel_requested
     AND NOT EXISTS (SELECT FROM processor.run_fences f WHERE f.run_id = c.run_id AND f.fence > w.fence)
     AND NOT EXISTS (SELECT FROM processor.call_stops s WHERE s.run_id = c.run_id)
     AND ((c.state = w.from_state AND c.attempt_count = w.attempt - 1)
       OR (c.state = 'sending' AND c.attempt_count = w.attempt)))`;

/** Of the same: nobody knows what became of the sending before, and its anchor could not tell. */
export const beforeIsLost = `(w.from_state = 'unknown' AND c.fenced_attempt < w.attempt - 1)`;

/**
 * The last thing before the socket, where no budget is to be kept to. True again for the same attempt, so that a lost COMMIT answer
 * can be asked again.
 */
export const markSending = hotStatement(
  'gateway.mark_sending',
  `WITH wanted AS (
     SELECT c.call_id, w.from_state, w.fence, w.attempt, w.anchor, w.reserved
     FROM processor.calls c
     JOIN unnest($1::uuid[], $2::text[], $3::bigint[], $4::int[], $5::text[], $6::bigint[])
       AS w (call_id, from_state, fence, attempt, anchor, reserved) USING (call_id)
     ORDER BY c.call_id FOR NO KEY UPDATE OF c)
   UPDATE processor.calls c
   SET state = 'sending', attempt_count = w.attempt, sending_at = now(), anchor = w.anchor,
       possible_duplicate = c.possible_duplicate OR ${beforeIsLost},
       lost_sendings = c.lost_sendings + (c.state = 'unknown' AND ${beforeIsLost})::int,
       reserved = CASE WHEN c.reserved = 0 THEN w.reserved ELSE c.reserved END, cost = NULL,
       budgets = CASE WHEN c.state = 'sending' THEN c.budgets END
   FROM wanted w
   WHERE c.call_id = w.call_id AND ${mayBeSent}
   RETURNING c.call_id`,
);

/**
 * This attempt did not leave and will not: back to where it stood before, and what was reserved for it is free again. Its anchor is as
 * good as new, but for an earlier sending.
 */
export const putBack = statement(
  'gateway.put_back',
  `WITH wanted AS (
     SELECT c.call_id, w.attempt
     FROM processor.calls c JOIN unnest($1::uuid[], $2::int[]) AS w (call_id, attempt) USING (call_id)
     ORDER BY c.call_id FOR NO KEY UPDATE OF c
   ), changed AS (
     UPDATE processor.calls c
     SET state = CASE WHEN c.failure IS NULL THEN 'planned' ELSE 'unknown' END, attempt_count = w.attempt - 1,
         possible_duplicate = c.possible_duplicate AND w.attempt > 2,
         anchor = CASE WHEN c.failure IS NULL OR c.fenced_attempt = w.attempt - 1 THEN c.anchor END,
         lost_sendings = c.lost_sendings - (c.failure IS NOT NULL AND c.fenced_attempt < w.attempt - 1)::int,
         cost = CASE WHEN c.failure IS NOT NULL AND c.fenced_attempt = w.attempt - 1 THEN 0 END,
         reserved = CASE WHEN c.failure IS NULL THEN 0 ELSE c.reserved END,
         budgets = CASE WHEN c.failure IS NOT NULL THEN c.budgets END
     FROM wanted w
     WHERE c.call_id = w.call_id AND c.state = 'sending' AND c.attempt_count = w.attempt
     RETURNING c.call_id, old.budgets, ${chargeOf('new')} - ${chargeOf('old')} AS delta
   ), ${settleBudgets('call_id')}`,
);

/**
 * The first sending was turned away, or its gate is shut: the next goes with another account. Under our fence, and never once there
 * were several sendings: what became of an earlier one may be unknown. True again for the same account. It cost nothing: what was
 * reserved for it is free again. Its anchor is of the account before: none of this call's any more.
 */
export const reroute = statement(
  'gateway.reroute',
  `WITH wanted AS (
     SELECT c.call_id, w.fence, w.account, w.mode
     FROM processor.calls c
     JOIN unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[]) AS w (call_id, fence, account, mode) USING (call_id)
     ORDER BY c.call_id FOR NO KEY UPDATE OF c
   ), changed AS (
     UPDATE processor.calls c
     SET state = 'planned', attempt_count = 0, account = w.account, mode = w.mode, anchor = NULL, reserved = 0, cost = NULL,
         budgets = NULL
     FROM wanted w
     WHERE c.call_id = w.call_id AND c.fence = w.fence AND (c.state = 'planned' OR (c.state = 'sending' AND c.attempt_count = 1))
     RETURNING c.call_id, old.budgets, ${chargeOf('new')} - ${chargeOf('old')} AS delta
   ), ${settleBudgets('call_id')}`,
);

/** A fact, whoever owns the run by now; the first response id stays. Returns the id that the ledger holds. */
export const markAccepted = hotStatement(
  'gateway.mark_accepted',
  `WITH wanted AS (
     SELECT c.call_id, w.response_id, w.request_id
     FROM processor.calls c
     JOIN unnest($1::uuid[], $2::text[], $3::text[]) AS w (call_id, response_id, request_id) USING (call_id)
     ORDER BY c.call_id FOR NO KEY UPDATE OF c)
   UPDATE processor.calls c
   SET state = CASE WHEN c.state IN ('sending', 'unknown') THEN 'accepted' ELSE c.state END,
       failure = CASE WHEN c.state IN ('sending', 'unknown') THEN NULL ELSE c.failure END,
       response_id = coalesce(c.response_id, w.response_id),
       request_id = coalesce(c.request_id, w.request_id),
       accepted_at = coalesce(c.accepted_at, now())
   FROM wanted w
   WHERE c.call_id = w.call_id
   RETURNING c.call_id, c.response_id`,
);

/**
 * Ends a call, or marks its outcome unknown. What came of one sending (`attempt` given) counts only while the ledger still
 * waits for that sending; what OpenAI says of a response by its id always does, unless the call has ended. What an anchor tells
 * (`estimated`) counts while its sending is unknown, too, and never replaces what is known better. True again for the same end, so
 * that a lost COMMIT answer can be asked again. What it cost is settled in the same statement.
 */
export const endCalls = hotStatement(
  'gateway.end_calls',
  `WITH wanted AS (
     SELECT c.call_id, w.attempt, w.state, w.response_id, w.request_id, w.served_model,
       substr($11::bytea, w.output_start, w.output_size) AS output, w.usage, w.failure, w.cost, w.estimated
     FROM processor.calls c
     JOIN unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::jsonb[], $9::bigint[],
                 $10::bool[], $12::int[], $13::int[])
       AS w (call_id, attempt, state, response_id, request_id, served_model, usage, failure, cost, estimated, output_start,
             output_size)
       USING (call_id)
     ORDER BY c.call_id FOR NO KEY UPDATE OF c
   ), changed AS (
     UPDATE processor.calls c
     SET state = w.state, response_id = coalesce(w.response_id, c.response_id),
         request_id = coalesce(w.request_id, c.request_id), served_model = w.served_model, output = w.output,
         usage = w.usage, usage_estimated = w.estimated, failure = w.failure,
         cost = coalesce(w.cost, CASE WHEN c.state = w.state THEN c.cost END),
         ended_at = CASE WHEN w.state = 'unknown' THEN NULL ELSE now() END
     FROM wanted w
     WHERE c.call_id = w.call_id
       AND (CASE WHEN w.attempt IS NULL THEN c.state IN ('sending', 'accepted', 'unknown')
                 ELSE c.attempt_count = w.attempt AND (c.state = 'sending' OR (c.state = 'unknown' AND w.estimated)) END
         OR (c.state = w.state AND c.attempt_count = coalesce(w.attempt, c.attempt_count)
             AND (c.usage_estimated OR NOT w.estimated)
             AND c.response_id IS NOT DISTINCT FROM coalesce(w.response_id, c.response_id)))
     RETURNING c.call_id, c.model, ${bookedOf('new')} - ${bookedOf('old')} AS booked,
       CASE WHEN new.cost IS NULL AND old.state IN ('sending', 'accepted') THEN new.reserved ELSE 0 END AS uncertain,
       old.budgets, ${chargeOf('new')} - ${chargeOf('old')} AS delta
   ), ${settleBudgets('call_id, model, booked::float8, uncertain::float8')}`,
);

/** The sending is over for good, and has left nothing: its anchor is deleted. It cost nothing: its reservation is free again. */
export const fenceSendings = statement(
  'gateway.fence_sendings',
  `WITH wanted AS (
     SELECT c.call_id, w.attempt, w.anchor
     FROM processor.calls c JOIN unnest($1::uuid[], $2::int[], $3::text[]) AS w (call_id, attempt, anchor) USING (call_id)
     ORDER BY c.call_id FOR NO KEY UPDATE OF c
   ), changed AS (
     UPDATE processor.calls c SET fenced_attempt = w.attempt, fenced_at = now(), anchor = NULL, cost = 0
     FROM wanted w
     WHERE c.call_id = w.call_id AND c.state = 'unknown' AND c.attempt_count = w.attempt
       AND (c.anchor = w.anchor OR c.fenced_attempt = w.attempt)
     RETURNING c.call_id, old.budgets, ${chargeOf('new')} - ${chargeOf('old')} AS delta
   ), ${settleBudgets('call_id')}`,
);

/** Anchors that stand no longer. */
export const forgetAnchors = statement(
  'gateway.forget_anchors',
  `WITH wanted AS (
     SELECT c.call_id
     FROM processor.calls c JOIN unnest($1::uuid[], $2::text[]) AS w (call_id, anchor) USING (call_id)
     WHERE c.anchor = w.anchor
     ORDER BY c.call_id FOR NO KEY UPDATE OF c)
   UPDATE processor.calls c SET anchor = NULL FROM wanted w WHERE c.call_id = w.call_id`,
);

/** For the transaction that takes a run from its owner; see bumpFences. */
export const raiseRunFences = statement(
  'gateway.raise_run_fences',
  `INSERT INTO processor.run_fences AS f (run_id, fence)
   SELECT run_id, fence FROM unnest($1::uuid[], $2::bigint[]) AS w (run_id, fence) ORDER BY run_id
   ON CONFLICT (run_id) DO UPDATE SET fence = greatest(f.fence, excluded.fence)`,
);

/** The same for the calls that the run has. */
export const raiseFences = hotStatement(
  'gateway.raise_fences',
  `WITH wanted AS (
     SELECT c.call_id, w.fence
     FROM processor.calls c JOIN unnest($1::uuid[], $2::bigint[]) AS w (run_id, fence) USING (run_id)
     WHERE c.state IN ('planned', 'sending', 'accepted', 'unknown') AND c.fence < w.fence
     ORDER BY c.call_id FOR NO KEY UPDATE OF c)
   UPDATE processor.calls c SET fence = w.fence FROM wanted w WHERE c.call_id = w.call_id`,
);
