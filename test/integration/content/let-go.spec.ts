/**
 * Contents that nobody needs go; one that somebody is about to refer to does not, whoever is first.
 * Real: Postgres. Stands in: the holders, who answer what the spec says; and time, which is moved in the rows.
 */
import { randomBytes } from 'node:crypto';
import { contentMigrations, ContentStore, type NeededUntil } from '#libs/content';
import { Database, migrate } from '#libs/postgres';
import { eventually } from '../../support/eventually.js';
import { freshDatabase, type FreshDatabase } from '../../support/stack.js';

const DAY_MS = 86_400_000;
const text = { mediaType: 'text/plain' };
const look = { overMs: DAY_MS, maxContents: 500 };
const nobody: NeededUntil = () => Promise.resolve(new Map());

let fresh: FreshDatabase;
let database: Database;
let store: ContentStore;

beforeAll(async () => {
  fresh = await freshDatabase();
  await migrate({ url: fresh.url, schema: 'content', migrations: contentMigrations });
  database = new Database({ url: fresh.url, applicationName: 'let-go.spec' });
  store = new ContentStore(database);
});
afterAll(async () => {
  await database?.close();
  await fresh?.drop();
});
beforeEach(() => database.query('TRUNCATE content.contents, content.chunks, content.bodies'));

const hoursPass = (hours: number) =>
  database.query(
    `UPDATE content.contents SET needed_by_api = needed_by_api - $1 * interval '1 hour',
       needed_by_processor = needed_by_processor - $1 * interval '1 hour'`,
    [hours],
  );
const bothLetGo = async () => {
  await store.letGo('api', look, nobody);
  await store.letGo('processor', look, nobody);
};
const stored = async () =>
  (
    await database.query<Record<'contents' | 'bodies' | 'chunks', number>>(
      `SELECT (SELECT count(*)::int FROM content.contents) AS contents, (SELECT count(*)::int FROM content.bodies) AS bodies,
         (SELECT count(*)::int FROM content.chunks) AS chunks`,
    )
  ).rows[0];
const NOTHING = { contents: 0, bodies: 0, chunks: 0 };

it.each([100, 600_000])(
  'of %d bytes goes with its body, once both holders let go',
  async (size) => {
    await store.put('t', randomBytes(size), text);
    await hoursPass(25);
    await store.letGo('api', look, nobody);
    expect(await store.collectLetGo()).toBe(0);
    await store.letGo('processor', look, nobody);
    expect(await store.collectLetGo()).toBe(1);
    expect(await stored()).toEqual(NOTHING);
  },
);

it('is not even asked about in its first day', async () => {
  await store.put('t', randomBytes(9), text);
  await hoursPass(23);
  expect(await store.letGo('api', look, nobody)).toBe(0);
});

it('that is needed is asked about again when that may be over', async () => {
  const { ref } = await store.put('t', randomBytes(9), text);
  await hoursPass(25);
  const until = new Date(Date.now() + 5 * DAY_MS);
  const asked = () => store.letGo('api', look, () => Promise.resolve(new Map([[ref, until]])));
  expect([await asked(), await asked()]).toEqual([1, 0]);
  await hoursPass(24 * 6 + 1);
  expect(await store.letGo('api', look, nobody)).toBe(1);
});

describe.each(['put', 'putStream', 'describe'] as const)(
  '%s of bytes that both let go of',
  (how) => {
    const bytes = randomBytes(40_000);
    const again = (ref: string): Promise<unknown> => {
      if (how === 'put') return store.put('t', bytes, text);
      if (how === 'putStream') return store.putStream('t', [bytes], text, { maxBytes: 1e6 });
      return store.describe('t', [ref]);
    };

    it('makes them stay', async () => {
      const { ref } = await store.put('t', bytes, text);
      await hoursPass(25);
      await bothLetGo();
      await again(ref);
      expect(await store.collectLetGo()).toBe(0);
      await bothLetGo();
      expect(await store.collectLetGo()).toBe(0);
      expect(Buffer.from((await store.get('t', ref)).bytes)).toEqual(bytes);
    });

    it('that are just being removed waits, and then puts them anew or does not find them', async () => {
      const { ref } = await store.put('t', bytes, text);
      await hoursPass(25);
      await bothLetGo();
      const answered = await database.transaction(async (tx) => {
        await tx.query('DELETE FROM content.contents');
        await tx.query('DELETE FROM content.bodies WHERE adopted_at IS NOT NULL');
        const asking = again(ref);
        await eventually('it waits for the lock', async () => {
          const waiting = await database.query(
            `SELECT FROM pg_stat_activity WHERE application_name = 'let-go.spec' AND wait_event_type = 'Lock'`,
          );
          return waiting.rowCount === 1;
        });
        return { asking };
      });
      const found = await answered.asking;
      if (how === 'describe') expect(found).toEqual([]);
      else expect(Buffer.from((await store.get('t', ref)).bytes)).toEqual(bytes);
    });
  },
);

it.each([
  ['api', 'processor'],
  ['processor', 'api'],
] as const)(
  'that is needed anew while the %s thinks is not let go of by it',
  async (holder, other) => {
    const { ref } = await store.put('t', randomBytes(9), text);
    await hoursPass(25);
    await store.letGo(holder, look, async () => {
      await store.describe('t', [ref]); // a run names it, after the holder has looked for such runs
      return new Map();
    });
    await hoursPass(25);
    await store.letGo(other, look, nobody);
    expect(await store.collectLetGo()).toBe(0);
  },
);

it('put again, and removed just after it was found to be there, is stored anew', async () => {
  const bytes = randomBytes(100);
  const { ref } = await store.put('t', bytes, text);
  let isFound = false;
  class Interrupted extends Database {
    override async query<Row>(...args: Parameters<Database['query']>) {
      const rows = await super.query<Row>(...args);
      if (typeof args[0] === 'object' && args[0].name === 'content.put_small' && !isFound) {
        isFound = true;
        await database.query('DELETE FROM content.contents');
      }
      return rows;
    }
  }
  const interrupted = new Interrupted({ url: fresh.url, applicationName: 'interrupted' });
  await new ContentStore(interrupted).put('t', bytes, text);
  await interrupted.close();
  expect(isFound).toBe(true);
  expect(Buffer.from((await store.get('t', ref)).bytes)).toEqual(bytes);
});

it('stays for those who describe it in the middle of a storm of collectors', async () => {
  for (let round = 0; round < 15; round++) {
    const refs = await Promise.all(
      Array.from({ length: 10 }, async () => (await store.put('t', randomBytes(64), text)).ref),
    );
    await hoursPass(25);
    const collect = async () => {
      await bothLetGo();
      await store.collectLetGo();
    };
    const [, described] = await Promise.all([
      collect(),
      Promise.all(refs.map((ref) => store.describe('t', [ref]))),
      collect(),
    ]);
    for (const content of described.flat()) {
      expect((await store.get('t', content.ref)).sizeBytes).toBe(64); // what was answered is there
    }
  }
});
