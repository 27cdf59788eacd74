/** Real: Postgres. Stands in: nothing. */
import { randomBytes } from 'node:crypto';
import {
  ContentCorruptError,
  ContentEmptyError,
  contentMigrations,
  ContentNotFoundError,
  contentRef,
  ContentStore,
  ContentTooLargeError,
  ContentUploadExpiredError,
  documentId,
} from '#libs/content';
import { Database, migrate, type Statement } from '#libs/postgres';
import { freshDatabase, type FreshDatabase } from '../../support/stack.js';

const markdown = { mediaType: 'text/markdown', fileName: 'tender.md' };
const MiB = 1024 * 1024;

let fresh: FreshDatabase;
let database: Database;
let store: ContentStore;

beforeAll(async () => {
  fresh = await freshDatabase();
  await migrate({ url: fresh.url, schema: 'content', migrations: contentMigrations });
  database = new Database({ url: fresh.url, applicationName: 'content.spec' });
  store = new ContentStore(database);
});
afterAll(async () => {
  await database.close();
  await fresh.drop();
});
beforeEach(() => database.query('TRUNCATE content.contents, content.chunks, content.bodies'));

const rowsStored = async () => {
  const { rows } = await database.query<Record<'contents' | 'bodies' | 'chunks', bigint>>(
    `SELECT (SELECT count(*) FROM content.contents) AS contents,
            (SELECT count(*) FROM content.bodies) AS bodies,
            (SELECT count(*) FROM content.chunks) AS chunks`,
  );
  return rows[0];
};
const NOTHING = { contents: 0n, bodies: 0n, chunks: 0n };

async function* pieces(bytes: Uint8Array, pieceBytes: number) {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}
const readWhole = async (stream: AsyncIterable<Uint8Array>) => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
};

describe('putting', () => {
  it.each([1, 32 * 1024, 32 * 1024 + 1, 256 * 1024, 256 * 1024 + 1, MiB + 7])(
    'gives back the same %d bytes, at once and as a stream',
    async (size) => {
      const bytes = randomBytes(size);
      const put = await store.put('t', bytes, markdown);
      expect(put).toMatchObject({ ...markdown, sizeBytes: size });
      expect(put.createdAt).toBeInstanceOf(Date);
      const { bytes: got, ...described } = await store.get('t', put.ref);
      expect(Buffer.compare(got, bytes)).toBe(0);
      expect(described).toEqual(put);
      expect(Buffer.compare(await readWhole(store.open('t', put.ref)), bytes)).toBe(0);
    },
  );

  it('keeps U+0000 and bytes that are no text', async () => {
    const bytes = Buffer.from([0, 0xff, 0, 0xc3, 0x28, 0]);
    const { ref } = await store.put('t', bytes, markdown);
    expect(Buffer.from((await store.get('t', ref)).bytes)).toEqual(bytes);
  });

  it('takes a Uint8Array that is a part of a larger buffer', async () => {
    const part = new Uint8Array(Buffer.from('before the part after')).subarray(7, 15);
    const { ref } = await store.put('t', part, markdown);
    expect(Buffer.from((await store.get('t', ref)).bytes).toString()).toBe('the part');
  });

  it('names the same bytes the same, put whole or streamed, and stores them once', async () => {
    const bytes = randomBytes(40_000);
    const whole = await store.put('t', bytes.subarray(0, 20_000), markdown);
    const streamed = await store.putStream('t', pieces(bytes.subarray(0, 20_000), 999), markdown, {
      maxBytes: MiB,
    });
    expect(streamed).toEqual(whole);
    expect(await rowsStored()).toEqual({ contents: 1n, bodies: 0n, chunks: 0n });
  });

  it('keeps the first media type and file name of bytes put twice', async () => {
    const first = await store.put('t', Buffer.from('x'), markdown);
    const second = await store.put('t', Buffer.from('x'), { mediaType: 'text/plain' });
    expect(second).toEqual(first);
  });

  it('drops from a file name what a page or a log could not show', async () => {
    const { fileName } = await store.put('t', Buffer.from('x'), {
      mediaType: 'text/plain',
      fileName: `a\0b\n${'c'.repeat(300)}`,
    });
    expect(fileName).toBe(`ab${'c'.repeat(253)}`);
  });

  it('gives back small bytes that came as a stream, and puts them whole without storing them again', async () => {
    const bytes = randomBytes(20_000);
    const streamed = await store.putStream('t', pieces(bytes, 999), markdown, { maxBytes: MiB });
    expect(await store.put('t', bytes, markdown)).toEqual(streamed);
    expect(Buffer.compare((await store.get('t', streamed.ref)).bytes, bytes)).toBe(0);
    expect(Buffer.compare(await readWhole(store.open('t', streamed.ref)), bytes)).toBe(0);
    expect(await rowsStored()).toEqual({ contents: 1n, bodies: 1n, chunks: 1n });
  });

  it.each([
    ['small', 100, { contents: 1n, bodies: 0n }],
    ['large', 600_000, { contents: 1n, bodies: 1n }],
  ])('fifty at once of the same %s bytes store them once', async (_, size, stored) => {
    const bytes = randomBytes(size);
    const other = new ContentStore(database);
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, i) => (i % 2 ? store : other).put('t', bytes, markdown)),
    );
    expect(new Set(all.map((content) => content.ref)).size).toBe(1);
    expect(await rowsStored()).toMatchObject(stored);
  });

  it('a bad row among many puts at once fails alone', async () => {
    const puts = Array.from({ length: 20 }, (_, i) =>
      store.put('t', Buffer.from(`content ${i}`), {
        mediaType: i === 13 ? 'text/\0' : 'text/plain',
      }),
    );
    const outcomes = await Promise.allSettled(puts);
    expect(outcomes.flatMap((outcome, i) => (outcome.status === 'rejected' ? [i] : []))).toEqual([
      13,
    ]);
    expect(await rowsStored()).toEqual({ contents: 19n, bodies: 0n, chunks: 0n });
  });
});

describe('an upload that comes to nothing leaves nothing behind', () => {
  const upload = (stream: AsyncIterable<Uint8Array>, maxBytes = MiB) =>
    store.putStream('t', stream, markdown, { maxBytes });

  it('one byte too large', async () => {
    await expect(upload(pieces(randomBytes(MiB + 1), 65_536))).rejects.toThrow(
      ContentTooLargeError,
    );
    expect(await rowsStored()).toEqual(NOTHING);
  });

  it('empty', async () => {
    await expect(upload(pieces(Buffer.alloc(0), 1))).rejects.toThrow(ContentEmptyError);
    await expect(store.put('t', Buffer.alloc(0), markdown)).rejects.toThrow(ContentEmptyError);
    expect(await rowsStored()).toEqual(NOTHING);
  });

  it('aborted in the middle, after chunks have been written', async () => {
    const aborted = (async function* () {
      yield randomBytes(600_000);
      expect(await rowsStored()).toEqual({ contents: 0n, bodies: 1n, chunks: 2n });
      throw new Error('socket hang up');
    })();
    await expect(upload(aborted)).rejects.toThrow('socket hang up');
    expect(await rowsStored()).toEqual(NOTHING);
  });

  it('of a process that died: collected 24 h after it began, not before', async () => {
    const stuck = async function* () {
      yield randomBytes(600_000);
      await database.query(
        `UPDATE content.bodies SET started_at = now() - interval '23 h 59 min' WHERE adopted_at IS NULL`,
      );
      expect(await store.collectAbandonedUploads()).toBe(0);
      await database.query(
        `UPDATE content.bodies SET started_at = now() - interval '24 h 1 min' WHERE adopted_at IS NULL`,
      );
      expect(await store.collectAbandonedUploads()).toBe(1);
      expect(await rowsStored()).toEqual(NOTHING);
    };
    await expect(upload(stuck())).rejects.toThrow(ContentUploadExpiredError);
    expect(await rowsStored()).toEqual(NOTHING);
  });

  it('and what is stored is never collected, however old', async () => {
    const { ref } = await upload(pieces(randomBytes(1000), 100));
    await database.query(`UPDATE content.bodies SET started_at = now() - interval '1 year'`);
    expect(await store.collectAbandonedUploads()).toBe(0);
    expect((await store.get('t', ref)).sizeBytes).toBe(1000);
  });
});

describe('reading', () => {
  it('finds nothing of another tenant, whatever id it guesses', async () => {
    const bytes = Buffer.from('ours');
    const { ref } = await store.put('us', bytes, markdown);
    expect((await store.put('them', bytes, markdown)).ref).not.toBe(ref);
    await expect(store.get('them', ref)).rejects.toThrow(ContentNotFoundError);
    await expect(readWhole(store.open('them', ref))).rejects.toThrow(ContentNotFoundError);
    expect(await store.describe('them', [ref])).toEqual([]);
  });

  it.each(['', 'nonsense', 'cnt_', `cnt_${'A'.repeat(43)}`])('does not find %p', async (ref) => {
    await expect(store.get('t', ref)).rejects.toThrow(ContentNotFoundError);
  });

  it('describes those that exist, in the order asked for, each once', async () => {
    const a = await store.put('t', Buffer.from('a'), markdown);
    const b = await store.put('t', Buffer.from('b'), { mediaType: 'text/plain' });
    const missing = `cnt_${'A'.repeat(43)}`;
    expect(await store.describe('t', [b.ref, missing, a.ref, 'junk', b.ref])).toEqual([b, a]);
    expect(await store.describe('t', [contentRef(documentId(a.ref))])).toEqual([a]);
    expect(await store.describe('t', [])).toEqual([]);
  });

  it.each([
    [
      'changed',
      `UPDATE content.chunks SET bytes = set_byte(bytes, 5, 255 - get_byte(bytes, 5)) WHERE position = 1`,
    ],
    [
      'cut short',
      `UPDATE content.chunks SET bytes = substring(bytes FROM 1 FOR 9) WHERE position = 2`,
    ],
    ['missing', `DELETE FROM content.chunks WHERE position = 1`],
    ['missing at the end', `DELETE FROM content.chunks WHERE position = 2`],
  ])('refuses content whose bytes were %s beneath it', async (_, damage) => {
    const bytes = randomBytes(600_000);
    const { ref } = await store.put('t', bytes, markdown);
    await database.query(damage);
    await expect(store.get('t', ref)).rejects.toThrow(ContentCorruptError);
    let received = 0;
    const read = async () => {
      for await (const chunk of store.open('t', ref)) received += chunk.length;
    };
    await expect(read()).rejects.toThrow(ContentCorruptError);
    expect(received).toBeLessThan(bytes.length);
  });

  it('refuses a small content whose bytes were changed beneath it', async () => {
    const { ref } = await store.put('t', Buffer.from('as it was'), markdown);
    await database.query(`UPDATE content.contents SET bytes = 'as it is now'`);
    await expect(store.get('t', ref)).rejects.toThrow(ContentCorruptError);
    await expect(readWhole(store.open('t', ref))).rejects.toThrow(ContentCorruptError);
  });

  it('holds no connection while its reader is slow', async () => {
    const single = new Database({ url: fresh.url, applicationName: 'one', maxConnections: 1 });
    try {
      const own = new ContentStore(single);
      const { ref } = await own.put('t', randomBytes(600_000), markdown);
      let chunks = 0;
      for await (const _chunk of own.open('t', ref)) {
        chunks++;
        await single.query('SELECT 1'); // would wait for ever if the reader held the only connection
      }
      expect(chunks).toBe(3);
    } finally {
      await single.close();
    }
  });
});

describe('many at once', () => {
  it('read and write one content, or many, in one statement each', async () => {
    const statements: string[] = [];
    const counted = new ContentStore(
      new Proxy(database, {
        get: (target, name) => {
          const value = Reflect.get(target, name) as unknown;
          if (name !== 'query') return value;
          return (statement: Statement, values: readonly unknown[]) => {
            statements.push(statement.name);
            return target.query(statement, values);
          };
        },
      }),
    );
    const inputs = Array.from({ length: 20 }, (_, index) => Buffer.from(`input ${index % 5}`));
    const put = await Promise.all(inputs.map((bytes) => counted.put('t', bytes, markdown)));
    const written = statements.splice(0);
    const got = await Promise.all(put.map(({ ref }) => counted.get('t', ref)));
    expect(got.map(({ bytes }) => Buffer.from(bytes))).toEqual(inputs);
    expect(await rowsStored()).toEqual({ contents: 5n, bodies: 0n, chunks: 0n });
    expect(written.filter((name) => name === 'content.put_small')).toHaveLength(1);
    expect(statements).toEqual(['content.read']);
  });
});
