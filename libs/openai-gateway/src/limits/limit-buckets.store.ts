/**
 * The fleet's buckets in Postgres: one row per account, model pool and tier; a process asks for its share of it.
 *
 * (B1) One statement, under the row's lock, on the database's clock: nobody's own clock counts, and a process that stands still
 *      in the middle of it holds nobody up.
 * (B2) What is granted has left the bucket before it is used. Whoever dies with a share has used it, as far as anybody knows;
 *      the bucket refills.
 * (B3) A share is for a second or two: what a process does not need any more goes back when it asks next, and what it has not
 *      asked about for so long is void.
 * (B4) Slots are held until a time. Who holds them says so again before; who is silent has none after it.
 * (B5) Slots are shared evenly where they are scarce: as many as its even part are kept for each process that wants them.
 * (B6) What a process lacks for a tenant that has nothing on its way is left for it by those who only want more of the same:
 *      a tenant's first call waits for the fleet's refill, and not for its process's part of it.
 * (B7) Headers correct downwards only: never above what is set, never above what is left by our own count.
 * (B8) Overload halves rate and slots, from what is really in use, once for all calls that left before; both grow again by
 *      half in 15 minutes at most. A few slots always stay, or nobody would ever learn that it is over.
 */
import { hotStatement, type Sql, statement } from '#libs/postgres';
import { SHARE_OF_LIMIT, type PoolLimits } from './pool-limits.js';
import type { LimitHeaders } from './read-limit-headers.js';
import type { Amounts, Share } from './share.js';

export interface Ask {
  /** Unused of the last share, less what calls have used beyond what they had reserved. May be under 0. */
  readonly giveBack: Amounts;
  readonly want: Amounts;
  readonly slots: { readonly inUse: number; readonly want: number };
  /** What the next call lacks, if its tenant has none on its way here; else nothing (B6). */
  readonly urgent: Amounts;
  readonly told: LimitHeaders;
  /** OpenAI has asked not to be called for so long; null: it has not. */
  readonly holdMs: number | null;
  /** A call that left so long ago found OpenAI overloaded; null: none did. */
  readonly overloadedAgoMs: number | null;
}

/** How long slots are held without a word. */
export const SLOT_LEASE_MS = 10_000;
const FEWEST_SLOTS = 8;
const LOWEST_FACTOR = 1 / 16;
const GROWTH = 1.5;
const GROWTH_SECONDS = 900;

interface ShareRow {
  readonly requests: number | null;
  readonly tokens: number | null;
  readonly slots: number;
  readonly requests_per_second: number | null;
  readonly tokens_per_second: number | null;
  readonly requests_size: number | null;
  readonly tokens_size: number | null;
  readonly slots_of_fleet: number;
  readonly hold_ms: number;
  readonly holders: number;
}

/** @param holder names the process */
export async function takeShare(
  sql: Sql,
  limits: PoolLimits,
  holder: string,
  ask: Ask,
): Promise<Share> {
  const key = [limits.account, limits.pool, limits.tier];
  const values = [
    ...key,
    holder,
    ...[limits.requests, limits.tokens, limits.windowMs / 1_000, limits.inFlight],
    ...[ask.giveBack.requests, ask.giveBack.tokens, ask.want.requests, ask.want.tokens],
    ...[ask.slots.inUse, ask.slots.want],
    ...[ask.told.limitRequests, ask.told.limitTokens, ask.told.leftRequests, ask.told.leftTokens],
    ...[ask.holdMs, ask.overloadedAgoMs, ask.urgent.requests, ask.urgent.tokens],
  ];
  const take = async () => (await sql.query<ShareRow>(TAKE, values)).rows[0];
  let row = await take();
  if (row === undefined) {
    await sql.query(MAKE, key);
    row = await take();
  }
  if (row === undefined) throw new LimitBucketMissingError(limits);
  return shareOf(row);
}

function shareOf(row: ShareRow): Share {
  const orNone = (value: number | null) => value ?? Infinity;
  return {
    requests: orNone(row.requests),
    tokens: orNone(row.tokens),
    slots: row.slots,
    perSecond: {
      requests: orNone(row.requests_per_second),
      tokens: orNone(row.tokens_per_second),
    },
    size: { requests: orNone(row.requests_size), tokens: orNone(row.tokens_size) },
    slotsOfFleet: row.slots_of_fleet,
    holdMs: row.hold_ms,
    holders: row.holders,
  };
}

const MAKE = statement(
  'gateway.limits.make',
  `INSERT INTO processor.limit_buckets (account, pool, tier) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
);

/**
 * Read from top to bottom: the row as it is under the lock; what time it is then; what overload has left of rate and slots; the
 * limits that hold now; what the buckets hold now; what is granted. `least` and `greatest` pass over null, which is no limit.
 */
const TAKE = hotStatement(
  'gateway.limits.take',
  `WITH bucket AS MATERIALIZED (
     SELECT * FROM processor.limit_buckets WHERE account = $1 AND pool = $2 AND tier = $3 FOR NO KEY UPDATE
   ), timed AS MATERIALIZED (
     SELECT bucket.*, clock_timestamp() AS at FROM bucket
   ), others AS MATERIALIZED (
     SELECT o.key, (o.value ->> 'slots')::float8 AS slots, (o.value ->> 'want')::float8 AS want,
       (o.value ->> 'used')::float8 AS used, (o.value ->> 'lacks_requests')::float8 AS lacks_requests,
       (o.value ->> 'lacks_tokens')::float8 AS lacks_tokens, o.value
     FROM timed, jsonb_each(timed.holders) o
     WHERE o.key <> $4 AND (o.value ->> 'until')::float8 > extract(epoch FROM timed.at)
   ), grown AS MATERIALIZED (
     SELECT *, least(1, rate_factor * growth) AS factor, least($8::float8, slot_ceiling * growth) AS ceiling,
       coalesce($20::float8 IS NOT NULL AND (eased_at IS NULL OR at - $20::float8 * interval '1 ms' > eased_at), false)
         AS is_overload
     FROM timed CROSS JOIN LATERAL (
       SELECT coalesce(power(${GROWTH}::float8,
         least(40, greatest(0, extract(epoch FROM at - eased_at)::float8) / ${GROWTH_SECONDS})), 1) AS growth
     ) g
   ), eased AS MATERIALIZED (
     SELECT *,
       CASE WHEN is_overload THEN greatest(${LOWEST_FACTOR}, factor / 2) ELSE factor END AS factor_now,
       CASE WHEN is_overload
         THEN least($8::float8, greatest(${FEWEST_SLOTS}, least(ceiling, $13::float8 + (SELECT coalesce(sum(used), 0) FROM others)) / 2))
         ELSE ceiling END AS ceiling_now,
       coalesce($15::float8, requests_told) AS r_told, coalesce($16::float8, tokens_told) AS t_told,
       greatest(held_until, at + $19::float8 * interval '1 ms') AS held_now,
       greatest(0, extract(epoch FROM at - refilled_at)::float8) AS seconds
     FROM grown
   ), sized AS MATERIALIZED (
     SELECT *, greatest(1, r_rate) AS r_size, t_rate AS t_size
     FROM eased CROSS JOIN LATERAL (
       SELECT least($5::float8, r_told) * ${SHARE_OF_LIMIT} * factor_now AS r_rate,
         least($6::float8, t_told) * ${SHARE_OF_LIMIT} * factor_now AS t_rate
     ) r
   ), filled AS MATERIALIZED (
     SELECT *, coalesce(held_now > at, false) AS is_held,
       CASE WHEN r_rate IS NOT NULL THEN
         least(r_size, coalesce(requests_left, r_size) + seconds * r_rate / $7::float8 + $9::float8, $17::float8) END AS r_left,
       CASE WHEN t_rate IS NOT NULL THEN
         least(t_size, coalesce(tokens_left, t_size) + seconds * t_size / $7::float8 + $10::float8, $18::float8) END AS t_left
     FROM sized
   ), granted AS MATERIALIZED (
     SELECT *,
       CASE WHEN is_held THEN 0 WHEN r_left IS NOT NULL THEN greatest(0, least($11::float8, floor(r_left - r_kept))) END AS r_grant,
       CASE WHEN is_held THEN 0 WHEN t_left IS NOT NULL THEN greatest(0, least($12::float8, t_left - t_kept)) END AS t_grant,
       greatest($13::float8, least($14::float8, floor(most - kept))) AS s_grant
     FROM filled
     CROSS JOIN LATERAL (SELECT coalesce(ceiling_now, $8::float8) AS most, (SELECT count(*) FROM others) + 1 AS holding) a
     CROSS JOIN LATERAL (
       SELECT coalesce(sum(greatest(slots, least(want, floor(most / holding)))), 0) AS kept FROM others
     ) b
     CROSS JOIN LATERAL (
       SELECT coalesce(sum(lacks_requests), 0) AS r_kept, coalesce(sum(lacks_tokens), 0) AS t_kept
       FROM others WHERE $21::float8 + $22::float8 = 0
     ) c
   )
   UPDATE processor.limit_buckets l
   SET refilled_at = at, requests_left = r_left - r_grant, tokens_left = t_left - t_grant,
     requests_told = r_told, tokens_told = t_told, held_until = CASE WHEN is_held THEN held_now END,
     rate_factor = CASE WHEN is_overload THEN factor_now ELSE l.rate_factor END,
     slot_ceiling = CASE WHEN is_overload THEN ceiling_now ELSE l.slot_ceiling END,
     eased_at = CASE WHEN is_overload THEN at ELSE l.eased_at END,
     holders = (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM others)
       || CASE WHEN $13::float8 = 0 AND $14::float8 = 0 THEN '{}' ELSE jsonb_build_object($4::text, jsonb_build_object(
            'slots', s_grant, 'want', $14::float8, 'used', $13::float8,
            'lacks_requests', greatest(0, $21::float8 - r_grant), 'lacks_tokens', greatest(0, $22::float8 - t_grant),
            'until', extract(epoch FROM at)::float8 + ${SLOT_LEASE_MS / 1_000})) END
   FROM granted g WHERE l.account = g.account AND l.pool = g.pool AND l.tier = g.tier
   RETURNING r_grant AS requests, t_grant AS tokens, s_grant AS slots, r_rate / $7::float8 AS requests_per_second,
     t_rate / $7::float8 AS tokens_per_second, CASE WHEN r_rate IS NOT NULL THEN r_size END AS requests_size, t_size AS tokens_size, most AS slots_of_fleet, holding::int AS holders,
     CASE WHEN is_held THEN ceil(extract(epoch FROM held_now - at) * 1000)::float8 ELSE 0 END AS hold_ms`,
);

/** The row was removed between making and reading it: nobody does that. */
export class LimitBucketMissingError extends Error {
  override readonly name = 'LimitBucketMissingError';
  readonly code = 'limit_bucket_missing';
  constructor({ account, pool, tier }: PoolLimits) {
    super(`processor.limit_buckets has no row for account ${account}, pool ${pool}, tier ${tier}`);
  }
}
