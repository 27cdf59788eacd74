/** Real: Postgres and TypeORM's migrations. Stands in: nothing. */
import { createDataSource, Database, migrate, MigrationLockTimeoutError } from '#libs/postgres';
import { EntitySchema, type MigrationInterface, type QueryRunner } from 'typeorm';
import { freshDatabase, type FreshDatabase } from '../../support/stack.js';

class CreateThings1700000000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE house.things (id bigint PRIMARY KEY)');
    await runner.query('SELECT pg_sleep(0.05)'); // long enough for another process to arrive in the middle
  }
  async down(): Promise<void> {}
}
class AddNames1700000000002 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE house.things ADD COLUMN name text');
  }
  async down(): Promise<void> {}
}
class BreakHalfway1700000000003 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE house.half ()');
    await runner.query('CREATE TABLE house.things ()');
  }
  async down(): Promise<void> {}
}

let fresh: FreshDatabase;
let database: Database;
beforeEach(async () => {
  fresh = await freshDatabase();
  database = new Database({ url: fresh.url, applicationName: 'spec' });
});
afterEach(async () => {
  await database.close();
  await fresh.drop();
});

const migrateHouse = (migrations: (new () => MigrationInterface)[], lockWaitMs?: number) =>
  migrate({ url: fresh.url, schema: 'house', migrations, lockWaitMs });
const BOTH = [CreateThings1700000000001, AddNames1700000000002];
const tablesOf = async (schema: string) => {
  const { rows } = await database.query<{ table_name: string }>(
    'SELECT table_name FROM information_schema.tables WHERE table_schema = $1 ORDER BY 1',
    [schema],
  );
  return rows.map((row) => row.table_name);
};

it('makes the schema, runs what is pending in order, and keeps its books in that schema', async () => {
  expect(await migrateHouse([CreateThings1700000000001])).toEqual(['CreateThings1700000000001']);
  expect(await migrateHouse(BOTH)).toEqual(['AddNames1700000000002']);
  expect(await migrateHouse(BOTH)).toEqual([]);
  expect(await tablesOf('house')).toEqual(['migrations', 'things']);
  expect(await tablesOf('public')).toEqual([]);
});

it('four processes at once run each migration once', async () => {
  const ran = await Promise.all([1, 2, 3, 4].map(() => migrateHouse(BOTH)));
  expect(ran.flat().sort()).toEqual(['AddNames1700000000002', 'CreateThings1700000000001']);
});

it('two schemas of one database are migrated apart', async () => {
  await migrateHouse(BOTH);
  expect(await migrate({ url: fresh.url, schema: 'garden', migrations: [] })).toEqual([]);
  expect(await tablesOf('garden')).toEqual(['migrations']);
});

it('a migration that fails halfway leaves nothing of itself, and those before it stay', async () => {
  await expect(migrateHouse([...BOTH, BreakHalfway1700000000003])).rejects.toMatchObject({
    code: '42P07',
  });
  expect(await tablesOf('house')).toEqual(['migrations', 'things']);
  expect(await migrateHouse(BOTH)).toEqual([]);
});

it('says who is in the way when another process holds the lock for too long', async () => {
  await database.session(async (sql) => {
    await sql.query(`SELECT pg_advisory_lock(hashtextextended('holdfast.migrate.house', 0))`);
    await expect(migrateHouse(BOTH, 50)).rejects.toThrow(MigrationLockTimeoutError);
  });
  expect((await migrateHouse(BOTH)).length).toBe(2);
});

it('the data source reads the schema’s tables, with int8 as bigint there too', async () => {
  await migrateHouse(BOTH);
  await database.query(`INSERT INTO house.things VALUES (9007199254740993, 'chair')`);
  const Thing = new EntitySchema<{ id: bigint; name: string }>({
    name: 'Thing',
    tableName: 'things',
    columns: { id: { type: 'bigint', primary: true }, name: { type: 'text' } },
  });
  const source = createDataSource({
    url: fresh.url,
    schema: 'house',
    entities: [Thing],
    migrations: BOTH,
  });
  await source.initialize();
  expect(await source.getRepository(Thing).find()).toEqual([
    { id: 9007199254740993n, name: 'chair' },
  ]);
  expect(await source.showMigrations()).toBe(false);
  await source.destroy();
});
