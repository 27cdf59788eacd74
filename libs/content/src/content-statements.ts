/** Every statement on schema `content`. `body` and `adopted`: see the migrations. */
import {
  hotStatement,
  packBytes,
  type Sql,
  type Statement,
  statement,
  type Tx,
} from '#libs/postgres';

/** What a content is found by. */
export interface ContentName {
  readonly tenant: string;
  readonly digest: Buffer;
}

export interface NewContent extends ContentName {
  readonly mediaType: string;
  readonly fileName: string | null;
  readonly sizeBytes: number;
}

/** A name for a body that was written before. */
export interface NewBody extends NewContent {
  readonly bodyId: string;
}

/** Bytes that are few enough to stand beside their name. */
export interface NewSmallContent extends NewContent {
  readonly bytes: Uint8Array;
}

/** Who keeps references to contents, each in a database of its own. */
export const contentHolders = ['api', 'processor'] as const;
export type ContentHolder = (typeof contentHolders)[number];

export interface ContentRow {
  readonly tenant: string;
  readonly digest: Buffer;
  /** null: the bytes stand beside the name. */
  readonly body_id: string | null;
  readonly media_type: string;
  readonly file_name: string | null;
  readonly size_bytes: bigint;
  readonly created_at: Date;
}

/** A content with its bytes, where they are few; null: to be read chunk by chunk. */
export interface ContentWithBody extends ContentRow {
  readonly bytes: Buffer | null;
}

export type FoundContentRow = ContentRow & { readonly fresh: boolean };

/** A content whose time with a holder is over. */
export interface ReviewRow extends ContentName {
  /** The instant as Postgres writes it: a Date would lose its microseconds. */
  readonly seen: string;
}

/** Until when its holder needs it from now on; null: not any more. */
export interface Review extends ReviewRow {
  readonly neededUntil: Date | null;
}

/** One text for what a content is named by. */
export function contentKey({ tenant, digest }: ContentName): string {
  return `${tenant}\0${digest.toString('hex')}`;
}

const COLUMNS = 'tenant, digest, body_id, media_type, file_name, size_bytes, created_at';

const PUT_SMALL = hotStatement(
  'content.put_small',
  `INSERT INTO content.contents (tenant, digest, media_type, file_name, size_bytes, bytes)
   SELECT tenant, digest, media_type, file_name, size, substr($5::bytea, start, size)
   FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[], $6::int[], $7::int[])
     AS t(tenant, digest, media_type, file_name, start, size)
   ON CONFLICT (tenant, digest) DO NOTHING
   RETURNING ${COLUMNS}`,
);
/** Needed by both holders within the last hour: nobody lets go of it for hours to come, so it need not be written. */
const FRESH = `(needed_by_api > now() - interval '1 hour' AND needed_by_processor > now() - interval '1 hour') IS TRUE`;
const FIND = statement(
  'content.find',
  `SELECT ${COLUMNS}, ${FRESH} AS fresh FROM content.contents
   JOIN unnest($1::text[], $2::bytea[]) AS wanted(tenant, digest) USING (tenant, digest)`,
);
/** A small content that came as a stream is a body of one chunk. */
const READ = hotStatement(
  'content.read',
  `SELECT ${COLUMNS}, coalesce(c.bytes, CASE WHEN size_bytes <= $3::bigint THEN (
     SELECT ch.bytes FROM content.chunks ch WHERE ch.body_id = c.body_id AND ch.position = 0) END) AS bytes
   FROM content.contents c
   JOIN unnest($1::text[], $2::bytea[]) AS wanted(tenant, digest) USING (tenant, digest)`,
);
const TOUCH = statement(
  'content.touch',
  `WITH found AS (
     SELECT tenant, digest FROM content.contents
     JOIN unnest($1::text[], $2::bytea[]) AS wanted(tenant, digest) USING (tenant, digest)
     WHERE NOT ${FRESH}
     ORDER BY tenant, digest FOR NO KEY UPDATE OF contents
   )
   UPDATE content.contents c
   SET needed_by_api = greatest(needed_by_api, now()), needed_by_processor = greatest(needed_by_processor, now())
   FROM found WHERE c.tenant = found.tenant AND c.digest = found.digest`,
);
const OVER: Readonly<Record<ContentHolder, Statement>> = {
  api: overStatement('api'),
  processor: overStatement('processor'),
};
const REVIEW: Readonly<Record<ContentHolder, Statement>> = {
  api: reviewStatement('api'),
  processor: reviewStatement('processor'),
};
/** A holder that needs one of these again waits for this statement, and then finds it gone; or locked it before, and it stays. */
const DROP_LET_GO = statement(
  'content.drop_let_go',
  `WITH let_go AS (
     SELECT tenant, digest FROM content.contents
     WHERE needed_by_api IS NULL AND needed_by_processor IS NULL
     ORDER BY tenant, digest LIMIT $1 FOR UPDATE SKIP LOCKED
   ), dropped AS (
     DELETE FROM content.contents c USING let_go WHERE c.tenant = let_go.tenant AND c.digest = let_go.digest
     RETURNING c.body_id
   ), bodies AS (
     DELETE FROM content.bodies b USING dropped WHERE b.body_id = dropped.body_id
   )
   SELECT FROM dropped`,
);
const START_BODY = statement(
  'content.start_body',
  'INSERT INTO content.bodies (body_id) VALUES ($1)',
);
const ADD_CHUNK = statement(
  'content.add_chunk',
  `INSERT INTO content.chunks (body_id, position, bytes)
   SELECT body_id, $2::integer, $3::bytea FROM content.bodies WHERE body_id = $1 FOR KEY SHARE`,
);
const MARK_ADOPTED = statement(
  'content.mark_adopted',
  'UPDATE content.bodies SET adopted_at = now() WHERE body_id = $1 AND adopted_at IS NULL',
);
const NAME_BODY = statement(
  'content.name_body',
  `INSERT INTO content.contents (tenant, digest, body_id, media_type, file_name, size_bytes)
   VALUES ($1, $2, $3, $4, $5, $6)
   ON CONFLICT (tenant, digest) DO NOTHING
   RETURNING ${COLUMNS}`,
);
const DROP_BODY = statement('content.drop_body', 'DELETE FROM content.bodies WHERE body_id = $1');
const DROP_UNADOPTED_BODY = statement(
  'content.drop_unadopted_body',
  'DELETE FROM content.bodies WHERE body_id = $1 AND adopted_at IS NULL',
);
const DROP_ABANDONED_BODIES = statement(
  'content.drop_abandoned_bodies',
  `DELETE FROM content.bodies WHERE body_id IN (
     SELECT body_id FROM content.bodies
     WHERE adopted_at IS NULL AND started_at < now() - $1 * interval '1 ms'
     ORDER BY started_at LIMIT $2 FOR UPDATE SKIP LOCKED
   )`,
);
const READ_CHUNKS = statement(
  'content.read_chunks',
  `SELECT bytes FROM content.chunks WHERE body_id = $1 ORDER BY position`,
);
const READ_CHUNK = statement(
  'content.read_chunk',
  'SELECT bytes FROM content.chunks WHERE body_id = $1 AND position = $2',
);

function overStatement(holder: ContentHolder): Statement {
  return statement(
    `content.over_${holder}`,
    `SELECT tenant, digest, needed_by_${holder}::text AS seen FROM content.contents
     WHERE needed_by_${holder} < now() - $1 * interval '1 ms' ORDER BY needed_by_${holder} LIMIT $2`,
  );
}

function reviewStatement(holder: ContentHolder): Statement {
  return statement(
    `content.review_${holder}`,
    `WITH reviewed AS (
       SELECT c.tenant, c.digest, r.needed_until
       FROM content.contents c
       JOIN unnest($1::text[], $2::bytea[], $3::text[], $4::timestamptz[]) AS r(tenant, digest, seen, needed_until)
         ON c.tenant = r.tenant AND c.digest = r.digest AND c.needed_by_${holder} = r.seen::timestamptz
       ORDER BY c.tenant, c.digest FOR NO KEY UPDATE OF c
     )
     UPDATE content.contents c
     SET needed_by_${holder} = CASE WHEN r.needed_until IS NOT NULL THEN greatest(r.needed_until, now()) END
     FROM reviewed r WHERE c.tenant = r.tenant AND c.digest = r.digest`,
  );
}

/** Sorted by key, no key twice: what KeyedBatcher hands over. Those stored before are looked up in a second statement. */
export async function putSmallContents(
  sql: Sql,
  contents: readonly NewSmallContent[],
): Promise<ContentRow[]> {
  const packed = packBytes(contents.map((content) => content.bytes));
  const { rows: named } = await sql.query<ContentRow>(PUT_SMALL, [
    contents.map((content) => content.tenant),
    contents.map((content) => content.digest),
    contents.map((content) => content.mediaType),
    contents.map((content) => content.fileName),
    ...[packed.bytes, packed.starts, packed.sizes],
  ]);
  const rows = new Map(named.map((row) => [contentKey(row), row]));
  const known = contents.filter((content) => !rows.has(contentKey(content)));
  if (known.length > 0) {
    for (const row of await findToKeep(sql, known)) rows.set(contentKey(row), row);
  }
  return contents.flatMap((content) => rows.get(contentKey(content)) ?? []);
}

/** In the order asked for; null: no such content. */
export async function readContents(
  sql: Sql,
  names: readonly ContentName[],
  smallBytes: number,
): Promise<(ContentWithBody | null)[]> {
  const { rows } = await sql.query<ContentWithBody>(READ, [...keysOf(names), smallBytes]);
  const found = new Map(rows.map((row) => [contentKey(row), row]));
  return names.map((name) => found.get(contentKey(name)) ?? null);
}

export async function findContents(
  sql: Sql,
  wanted: readonly ContentName[],
): Promise<FoundContentRow[]> {
  const { rows } = await sql.query<FoundContentRow>(FIND, keysOf(wanted));
  return rows;
}

/** Those that exist, and will for the time that a let-go content stays: for whoever is about to refer to them. */
export async function findToKeep(sql: Sql, wanted: readonly ContentName[]): Promise<ContentRow[]> {
  const found = await findContents(sql, wanted);
  if (found.every(({ fresh }) => fresh)) return found;
  await sql.query(TOUCH, keysOf(wanted));
  return findContents(sql, wanted); // what was collected in between is not there
}

function keysOf(wanted: readonly ContentName[]) {
  return [wanted.map(({ tenant }) => tenant), wanted.map(({ digest }) => digest)];
}

export async function startBody(sql: Sql, bodyId: string): Promise<void> {
  await sql.query(START_BODY, [bodyId]);
}

/** False: the body has been removed as abandoned. */
export async function addChunk(
  sql: Sql,
  bodyId: string,
  position: number,
  bytes: Buffer,
): Promise<boolean> {
  return (await sql.query(ADD_CHUNK, [bodyId, position, bytes])).rowCount === 1;
}

/** False: adopted already, or removed as abandoned. */
export async function markAdopted(tx: Tx, bodyId: string): Promise<boolean> {
  return (await tx.query(MARK_ADOPTED, [bodyId])).rowCount === 1;
}

/** Null: these bytes have a name already. */
export async function nameBody(tx: Tx, content: NewBody): Promise<ContentRow | null> {
  const { tenant, digest, bodyId, mediaType, fileName, sizeBytes } = content;
  const { rows } = await tx.query<ContentRow>(NAME_BODY, [
    tenant,
    digest,
    bodyId,
    mediaType,
    fileName,
    sizeBytes,
  ]);
  return rows[0] ?? null;
}

/** With its chunks. */
export async function dropBody(tx: Tx, bodyId: string): Promise<void> {
  await tx.query(DROP_BODY, [bodyId]);
}

export async function dropUnadoptedBody(sql: Sql, bodyId: string): Promise<void> {
  await sql.query(DROP_UNADOPTED_BODY, [bodyId]);
}

export async function dropAbandonedBodies(
  sql: Sql,
  olderThanMs: number,
  maxBodies: number,
): Promise<number> {
  return (await sql.query(DROP_ABANDONED_BODIES, [olderThanMs, maxBodies])).rowCount;
}

/** With their bodies. */
export async function dropLetGo(sql: Sql, maxContents: number): Promise<number> {
  return (await sql.query(DROP_LET_GO, [maxContents])).rowCount;
}

/** Those whose time with this holder was over `overMs` ago. */
export async function findOver(
  sql: Sql,
  holder: ContentHolder,
  overMs: number,
  maxContents: number,
): Promise<ReviewRow[]> {
  return (await sql.query<ReviewRow>(OVER[holder], [overMs, maxContents])).rows;
}

/** Changes only what nobody has touched since it was seen. */
export async function writeReviews(
  sql: Sql,
  holder: ContentHolder,
  reviews: readonly Review[],
): Promise<void> {
  await sql.query(REVIEW[holder], [
    reviews.map(({ tenant }) => tenant),
    reviews.map(({ digest }) => digest),
    reviews.map(({ seen }) => seen),
    reviews.map(({ neededUntil }) => neededUntil),
  ]);
}

export async function readChunks(sql: Sql, bodyId: string): Promise<Buffer[]> {
  const { rows } = await sql.query<{ bytes: Buffer }>(READ_CHUNKS, [bodyId]);
  return rows.map(({ bytes }) => bytes);
}

export async function readChunk(
  sql: Sql,
  bodyId: string,
  position: number,
): Promise<Buffer | null> {
  const { rows } = await sql.query<{ bytes: Buffer }>(READ_CHUNK, [bodyId, position]);
  return rows[0]?.bytes ?? null;
}
