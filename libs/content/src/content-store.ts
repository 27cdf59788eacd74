/**
 * Inputs, documents and results: bytes under a name made of their own digest, per tenant, in chunks of `bytea`.
 *
 * (C1) A content is there whole or not at all: small ones are one row; a body is named only in the transaction that also
 *      owns it, after its last chunk. A body without a name is nobody's, and is removed: at once when
 *      its upload fails, else by `collectAbandonedUploads`.
 * (C2) Putting the same bytes again changes nothing and answers with what is stored: the first media type and
 *      file name stay, for runs may already have been made from them.
 * (C3) What is read is checked against the digest before its last byte is handed out.
 * (C4) A name of another tenant is not found, like a name that was never given.
 * (C5) Reading or writing a stream holds no transaction and no connection between two chunks: a slow client
 *      costs Postgres nothing.
 * (C6) Who puts or gets a content that is just being put or got waits for that one: the bytes are the same by their
 *      name, so many runs with one input cost one statement and do not stand in line.
 * (C7) What `put`, `putStream` or `describe` has answered with stays for a day at least, so that a reference to it can be
 *      committed: they mark it as needed under its row lock. A review (`letGo`) writes only over the mark that it saw, and
 *      only what both holders have let go of is removed, under the same lock.
 * (C8) A put is answered when it is on the disk, though the reference is committed afterwards and waits for the disk, too: where
 *      Postgres dies between the two, the reference is tried again, and would stand there after the crash without its content.
 */
import { type Database, KeyedBatcher, uuidv7 } from '#libs/postgres';
import { inChunks } from './chunking.js';
import {
  ContentCorruptError,
  ContentEmptyError,
  ContentNotFoundError,
  ContentUploadExpiredError,
} from './content-errors.js';
import { contentHash, type ContentRef, digestOf, refOf } from './content-ref.js';
import * as sql from './content-statements.js';

export interface ContentMeta {
  readonly mediaType: string;
  /** As its owner calls it; control characters are dropped, and what is past 255 characters. */
  readonly fileName?: string;
}

export interface StoredContent {
  readonly ref: ContentRef;
  readonly mediaType: string;
  readonly fileName: string | null;
  readonly sizeBytes: number;
  readonly createdAt: Date;
}

export interface ContentStoreOptions {
  /** How long small contents are tried again while Postgres is away. Default 30,000. */
  readonly maxRetryMs?: number;
}

/** A chunk is one row: small enough to stream, large enough for few rows. */
const CHUNK_BYTES = 256 * 1024;
/** Up to here the bytes stand beside the name, and many contents share a statement. */
const SMALL_BYTES = 32 * 1024;
const SMALL_CONTENTS_PER_STATEMENT = 64;
const ABANDONED_AFTER_MS = 24 * 60 * 60 * 1000;
/** Bytes that were there, and are removed while they are put again, are put once more. */
const MAX_PUTS = 3;

/** Until when each of these contents is needed by those whom it asks; absent: not any more. */
export type NeededUntil = (refs: readonly ContentRef[]) => Promise<ReadonlyMap<ContentRef, Date>>;

export class ContentStore {
  private readonly smallContents: KeyedBatcher<sql.NewSmallContent, sql.ContentRow>;
  private readonly reads: KeyedBatcher<sql.ContentName, sql.ContentWithBody | null>;
  private readonly putting = new Map<string, Promise<sql.ContentRow>>();
  private readonly getting = new Map<string, Promise<sql.ContentWithBody | null>>();

  constructor(
    private readonly database: Database,
    { maxRetryMs = 30_000 }: ContentStoreOptions = {},
  ) {
    this.reads = new KeyedBatcher<sql.ContentName, sql.ContentWithBody | null>({
      name: 'content.get',
      keyOf: sql.contentKey,
      write: (names) => sql.readContents(database, names, SMALL_BYTES),
      maxItems: SMALL_CONTENTS_PER_STATEMENT,
      retry: { maxRetryMs },
    });
    this.smallContents = new KeyedBatcher<sql.NewSmallContent, sql.ContentRow>({
      name: 'content.put',
      keyOf: sql.contentKey,
      write: (contents) => putSmallContents(database, contents),
      maxItems: SMALL_CONTENTS_PER_STATEMENT,
      retry: { maxRetryMs },
    });
  }

  /** @throws ContentEmptyError */
  async put(tenant: string, bytes: Uint8Array, meta: ContentMeta): Promise<StoredContent> {
    if (bytes.length > SMALL_BYTES) {
      return this.putStream(tenant, [bytes], meta, { maxBytes: bytes.length });
    }
    if (bytes.length === 0) throw new ContentEmptyError();
    const digest = contentHash(tenant).update(bytes).digest();
    const content = { ...newContent(tenant, digest, meta, bytes.length), bytes };
    const put = () => this.smallContents.push(content);
    return storedContent(await shared(this.putting, sql.contentKey(content), put));
  }

  /**
   * Writes chunk by chunk as they come, and names them at the end. If the stream fails, so does this, with the
   * stream's error.
   * @throws ContentTooLargeError, ContentEmptyError, ContentUploadExpiredError
   */
  async putStream(
    tenant: string,
    stream: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    meta: ContentMeta,
    { maxBytes }: { maxBytes: number },
  ): Promise<StoredContent> {
    const bodyId = uuidv7();
    await sql.startBody(this.database, bodyId);
    try {
      const { digest, sizeBytes } = await this.writeBody(tenant, bodyId, stream, maxBytes);
      return await this.adopt({ ...newContent(tenant, digest, meta, sizeBytes), bodyId });
    } catch (error) {
      // (C1) Not if the body was adopted after all (a lost answer to COMMIT). If this fails too, the collector does it.
      await sql.dropUnadoptedBody(this.database, bodyId).catch(() => undefined);
      throw error;
    }
  }

  /** @throws ContentNotFoundError, ContentCorruptError */
  async get(tenant: string, ref: string): Promise<{ readonly bytes: Uint8Array } & StoredContent> {
    const name = { tenant, digest: digestOrNotFound(ref) };
    const read = () => this.reads.push(name);
    const found = await shared(this.getting, sql.contentKey(name), read); // (C4)
    if (found === null) throw new ContentNotFoundError(ref);
    const bytes = found.bytes ?? Buffer.concat(await this.readBody(found.body_id));
    if (!contentHash(tenant).update(bytes).digest().equals(found.digest)) {
      throw new ContentCorruptError(ref); // (C3)
    }
    return { ...storedContent(found), bytes };
  }

  /**
   * The bytes, chunk by chunk, each read when it is asked for (C5).
   * @throws ContentNotFoundError on the first, ContentCorruptError in place of the last chunk
   */
  async *open(tenant: string, ref: string): AsyncGenerator<Uint8Array, void, undefined> {
    const found = await this.find(tenant, ref);
    if (found.body_id === null) return yield (await this.get(tenant, ref)).bytes;
    const hash = contentHash(tenant);
    let left = Number(found.size_bytes);
    for (let position = 0; left > 0; position++) {
      const chunk = await sql.readChunk(this.database, found.body_id, position);
      if (chunk === null) throw new ContentCorruptError(ref);
      hash.update(chunk);
      left -= chunk.length;
      if (left <= 0 && !hash.digest().equals(found.digest)) throw new ContentCorruptError(ref); // (C3)
      yield chunk;
    }
  }

  /** Those that exist, in the order asked for, each once: for whoever is about to refer to them (C7). */
  async describe(tenant: string, refs: readonly string[]): Promise<StoredContent[]> {
    const digests = [...new Set(refs)].map(digestOf).filter((digest) => digest !== null);
    const wanted = digests.map((digest) => ({ tenant, digest }));
    const rows = await sql.findToKeep(this.database, wanted); // (C7)
    const byRef = new Map(rows.map((row) => [refOf(row.digest), storedContent(row)]));
    return digests.flatMap((digest) => byRef.get(refOf(digest)) ?? []);
  }

  /** Removes what uploads left behind whose process died, 24 h after they began. Answers with how many. */
  async collectAbandonedUploads(maxUploads = 500): Promise<number> {
    return sql.dropAbandonedBodies(this.database, ABANDONED_AFTER_MS, maxUploads);
  }

  /**
   * Asks a holder about contents whose time with it was over `overMs` ago, and lets go of those that it does not need. A
   * holder commits a reference within hours of `put` or `describe`: far less than `overMs`. Answers with how many it asked about.
   */
  async letGo(
    holder: sql.ContentHolder,
    { overMs, maxContents }: { readonly overMs: number; readonly maxContents: number },
    neededUntil: NeededUntil,
  ): Promise<number> {
    const over = await sql.findOver(this.database, holder, overMs, maxContents);
    if (over.length === 0) return 0;
    const until = await neededUntil(over.map(({ digest }) => refOf(digest)));
    const reviews = over.map((row) => ({
      ...row,
      neededUntil: until.get(refOf(row.digest)) ?? null,
    }));
    await sql.writeReviews(this.database, holder, reviews);
    return over.length;
  }

  /** Removes what every holder has let go of. Answers with how many. */
  async collectLetGo(maxContents = 500): Promise<number> {
    return sql.dropLetGo(this.database, maxContents);
  }

  private async find(tenant: string, ref: string): Promise<sql.ContentRow> {
    const digest = digestOrNotFound(ref);
    const [found] = await sql.findContents(this.database, [{ tenant, digest }]); // (C4)
    if (found === undefined) throw new ContentNotFoundError(ref);
    return found;
  }

  private async readBody(bodyId: string | null): Promise<Buffer[]> {
    return bodyId === null ? [] : sql.readChunks(this.database, bodyId);
  }

  private async writeBody(
    tenant: string,
    bodyId: string,
    stream: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    maxBytes: number,
  ): Promise<{ digest: Buffer; sizeBytes: number }> {
    const hash = contentHash(tenant);
    let sizeBytes = 0;
    let position = 0;
    for await (const chunk of inChunks(stream, CHUNK_BYTES, maxBytes)) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      const added = await sql.addChunk(this.database, bodyId, position++, chunk);
      if (!added) throw new ContentUploadExpiredError();
    }
    if (sizeBytes === 0) throw new ContentEmptyError();
    return { digest: hash.digest(), sizeBytes };
  }

  /** Names the body, or finds that its bytes have a name already and drops it (C1, C2). */
  private async adopt(content: sql.NewBody): Promise<StoredContent> {
    return this.database.transaction(async (tx) => {
      const adopted = await sql.markAdopted(tx, content.bodyId);
      for (let puts = 0; puts < MAX_PUTS; puts++) {
        const named = adopted ? await sql.nameBody(tx, content) : null;
        if (named !== null) return storedContent(named);
        const [known] = await sql.findToKeep(tx, [content]); // (C7)
        if (known === undefined) continue; // collected between the two statements
        if (adopted) await sql.dropBody(tx, content.bodyId);
        return storedContent(known);
      }
      throw new ContentUploadExpiredError();
    });
  }
}

/** (C6) */
async function shared<T>(
  inFlight: Map<string, Promise<T>>,
  key: string,
  start: () => Promise<T>,
): Promise<T> {
  const known = inFlight.get(key);
  if (known !== undefined) return known;
  const started = start();
  inFlight.set(key, started);
  try {
    return await started;
  } finally {
    inFlight.delete(key);
  }
}

function digestOrNotFound(ref: string): Buffer {
  const digest = digestOf(ref);
  if (digest === null) throw new ContentNotFoundError(ref);
  return digest;
}

async function putSmallContents(
  database: Database,
  contents: readonly sql.NewSmallContent[],
): Promise<sql.ContentRow[]> {
  const stored = new Map<string, sql.ContentRow>();
  let missing = contents;
  for (let puts = 0; puts < MAX_PUTS && missing.length > 0; puts++) {
    for (const row of await sql.putSmallContents(database, missing)) {
      stored.set(sql.contentKey(row), row);
    }
    missing = contents.filter((content) => !stored.has(sql.contentKey(content)));
  }
  return contents.flatMap((content) => stored.get(sql.contentKey(content)) ?? []);
}

function newContent(
  tenant: string,
  digest: Buffer,
  meta: ContentMeta,
  sizeBytes: number,
): sql.NewContent {
  const fileName = meta.fileName?.replace(/\p{Cc}/gu, '').slice(0, 255) || null;
  return { tenant, digest, mediaType: meta.mediaType, fileName, sizeBytes };
}

function storedContent(row: sql.ContentRow): StoredContent {
  return {
    ref: refOf(row.digest),
    mediaType: row.media_type,
    fileName: row.file_name,
    sizeBytes: Number(row.size_bytes),
    createdAt: row.created_at,
  };
}
