/** Real: Postgres, its locks, its refusals, its terminated backends. Stands in: nothing. */
import { Database, KeyedBatcher, statement, uuidv7 } from '#libs/postgres';
import { freshDatabase, type FreshDatabase } from '../../support/stack.js';

interface Reading {
  readonly id: string;
  readonly version: number;
  readonly text: string;
}

/** As a projection writes: only forwards, so that doing it twice changes nothing. */
const UPSERT = statement(
  'spec.upsert_readings',
  `INSERT INTO readings AS r (id, version, text)
   SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[])
   ON CONFLICT (id) DO UPDATE SET version = excluded.version, text = excluded.text
     WHERE r.version < excluded.version`,
);

let fresh: FreshDatabase;
let database: Database;
beforeAll(async () => {
  fresh = await freshDatabase();
  database = new Database({ url: fresh.url, applicationName: 'spec' });
  await database.query('CREATE TABLE readings (id uuid PRIMARY KEY, version int, text text)');
});
afterAll(async () => {
  await database.close();
  await fresh.drop();
});
beforeEach(() => database.query('TRUNCATE readings'));

const upsert = (items: readonly Reading[]) =>
  database.query(UPSERT, [
    items.map((item) => item.id),
    items.map((item) => item.version),
    items.map((item) => item.text),
  ]);
const newBatcher = (maxItems = 500) =>
  new KeyedBatcher<Reading, number>({
    name: 'spec',
    keyOf: (item) => item.id,
    write: async (items) => {
      await upsert(items);
      return items.map((item) => item.version);
    },
    maxItems,
  });
const stored = async () => {
  const { rows } = await database.query<Reading>('SELECT * FROM readings ORDER BY id');
  return rows;
};

it('needs its first rule: Postgres refuses a whole statement that holds one key twice', async () => {
  const id = uuidv7();
  const twice = [1, 2].map((version) => ({ id, version, text: '' }));
  await expect(upsert(twice)).rejects.toMatchObject({ code: '21000' });

  const batcher = newBatcher();
  expect(await Promise.all(twice.map((item) => batcher.push(item)))).toEqual([1, 2]);
  expect(await stored()).toEqual([{ id, version: 2, text: '' }]);
});

it('a text that Postgres cannot hold fails its own item only', async () => {
  const items = Array.from({ length: 200 }, (_, i) => ({
    id: uuidv7(),
    version: 1,
    text: i === 77 ? 'model output with \0 in it' : `text ${i}`,
  }));
  const batcher = newBatcher();
  const outcomes = await Promise.allSettled(items.map((item) => batcher.push(item)));
  expect(outcomes.flatMap((o, i) => (o.status === 'rejected' ? [i] : []))).toEqual([77]);
  expect((await stored()).length).toBe(199);
});

it('two processes that write the same keys in opposite order neither deadlock nor lose a write', async () => {
  const ids = Array.from({ length: 40 }, () => uuidv7());
  const [forwards, backwards] = [newBatcher(20), newBatcher(20)];
  const before = await deadlocks();
  const pushes: Promise<number>[] = [];
  for (let version = 1; version <= 30; version++) {
    for (const id of ids) pushes.push(forwards.push({ id, version: 2 * version, text: 'f' }));
    for (const id of [...ids].reverse())
      pushes.push(backwards.push({ id, version: 2 * version + 1, text: 'b' }));
  }
  await Promise.all(pushes);
  expect(await stored()).toEqual(ids.map((id) => ({ id, version: 61, text: 'b' })));
  expect(await deadlocks()).toBe(before);
});

it('connections killed all along are nobody’s fault: every item is written', async () => {
  const killer = new Database({ url: fresh.url, applicationName: 'killer' });
  const batcher = newBatcher(10);
  const ids = Array.from({ length: 30 }, () => uuidv7());
  const pushes: Promise<number>[] = [];
  for (let version = 1; version <= 12; version++) {
    for (const id of ids) pushes.push(batcher.push({ id, version, text: '' }));
    await killer.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'spec'`,
    );
  }
  await Promise.all(pushes);
  expect((await stored()).map(({ version }) => version)).toEqual(ids.map(() => 12));
  await killer.close();
});

async function deadlocks(): Promise<bigint | undefined> {
  const { rows } = await database.query<{ deadlocks: bigint }>(
    'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()',
  );
  return rows[0]?.deadlocks;
}
