/** Every statement on schema `content`. `body` and `adopted`: see the migration. */
import { type Sql, statement, type Tx } from '#libs/postgres';

/** What a content is found by. */
export interface ContentName {
  readonly tenant: string;
  readonly digest: Buffer;
}

export interface NewContent extends ContentName {
  readonly bodyId: string;
  readonly mediaType: string;
  readonly fileName: string | null;
  readonly sizeBytes: number;
}

export interface NewSmallContent extends NewContent {
  readonly bytes: Uint8Array;
}

export interface ContentRow {
  readonly tenant: string;
  readonly digest: Buffer;
  readonly body_id: string;
  readonly media_type: string;
  readonly file_name: string | null;
  readonly size_bytes: bigint;
  readonly created_at: Date;
}

/** A content with its bytes, where they are few; null: to be read chunk by chunk. */
export interface ContentWithBody extends ContentRow {
  readonly bytes: Buffer | null;
}

/** One text for what a content is named by. */
export function contentKey({ tenant, digest }: ContentName): string {
  return `${tenant}\0${digest.toString('hex')}`;
}

const COLUMNS = 'tenant, digest, body_id, media_type, file_name, size_bytes, created_at';

const PUT_SMALL = statement(
  'content.put_small',
  `WITH given AS (
     SELECT * FROM unnest($1::text[], $2::bytea[], $3::uuid[], $4::text[], $5::text[], $6::bytea[])
       AS t(tenant, digest, body_id, media_type, file_name, bytes)
   ), named AS (
     INSERT INTO content.contents (tenant, digest, body_id, media_type, file_name, size_bytes)
     SELECT tenant, digest, body_id, media_type, file_name, octet_length(bytes) FROM given
     ON CONFLICT (tenant, digest) DO NOTHING
     RETURNING ${COLUMNS}
   ), body AS (
     INSERT INTO content.bodies (body_id, adopted_at) SELECT body_id, now() FROM named
   ), chunk AS (
     INSERT INTO content.chunks (body_id, position, bytes)
     SELECT body_id, 0, given.bytes FROM given JOIN named USING (body_id)
   )
   SELECT * FROM named`,
);
const FIND = statement(
  'content.find',
  `SELECT ${COLUMNS} FROM content.contents
   JOIN unnest($1::text[], $2::bytea[]) AS wanted(tenant, digest) USING (tenant, digest)`,
);
/** What is small is one chunk. */
const READ = statement(
  'content.read',
  `SELECT ${COLUMNS}, CASE WHEN size_bytes <= $3::bigint THEN (
     SELECT ch.bytes FROM content.chunks ch WHERE ch.body_id = c.body_id AND ch.position = 0) END AS bytes
   FROM content.contents c
   JOIN unnest($1::text[], $2::bytea[]) AS wanted(tenant, digest) USING (tenant, digest)`,
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
  `DELETE FROM content.bodies
   WHERE adopted_at IS NULL AND started_at < now() - $1 * interval '1 ms'`,
);
const READ_CHUNKS = statement(
  'content.read_chunks',
  `SELECT bytes FROM content.chunks WHERE body_id = $1 ORDER BY position`,
);
const READ_CHUNK = statement(
  'content.read_chunk',
  'SELECT bytes FROM content.chunks WHERE body_id = $1 AND position = $2',
);

/** Sorted by key, no key twice: what KeyedBatcher hands over. Those stored before are looked up in a second statement. */
export async function putSmallContents(
  sql: Sql,
  contents: readonly NewSmallContent[],
): Promise<ContentRow[]> {
  const { rows: named } = await sql.query<ContentRow>(PUT_SMALL, [
    contents.map((content) => content.tenant),
    contents.map((content) => content.digest),
    contents.map((content) => content.bodyId),
    contents.map((content) => content.mediaType),
    contents.map((content) => content.fileName),
    contents.map((content) => asBuffer(content.bytes)),
  ]);
  const rows = new Map(named.map((row) => [contentKey(row), row]));
  const known = contents.filter((content) => !rows.has(contentKey(content)));
  if (known.length > 0) {
    for (const row of await findContents(sql, known)) rows.set(contentKey(row), row);
  }
  return contents.flatMap((content) => rows.get(contentKey(content)) ?? []);
}

/** In the order asked for; null: no such content. */
export async function readContents(
  sql: Sql,
  names: readonly ContentName[],
  smallBytes: number,
): Promise<(ContentWithBody | null)[]> {
  const { rows } = await sql.query<ContentWithBody>(READ, [
    names.map(({ tenant }) => tenant),
    names.map(({ digest }) => digest),
    smallBytes,
  ]);
  const found = new Map(rows.map((row) => [contentKey(row), row]));
  return names.map((name) => found.get(contentKey(name)) ?? null);
}

export async function findContents(
  sql: Sql,
  wanted: readonly ContentName[],
): Promise<ContentRow[]> {
  const { rows } = await sql.query<ContentRow>(FIND, [
    wanted.map(({ tenant }) => tenant),
    wanted.map(({ digest }) => digest),
  ]);
  return rows;
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
export async function nameBody(tx: Tx, content: NewContent): Promise<ContentRow | null> {
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

export async function dropAbandonedBodies(sql: Sql, olderThanMs: number): Promise<number> {
  return (await sql.query(DROP_ABANDONED_BODIES, [olderThanMs])).rowCount;
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

/** The same memory: pg writes a Buffer as bytea, in arrays too, but another Uint8Array there as JSON. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
