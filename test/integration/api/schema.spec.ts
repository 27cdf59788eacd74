/** Real: Postgres. Stands in: nothing. */
import { createDataSource, Database, migrate } from '#libs/postgres';
import {
  apiMigrations,
  DecisionEntity,
  ParkedEventEntity,
  RefusedCommandEntity,
  RunEntity,
  RunEventEntity,
} from '../../../apps/api/src/schema/index.js';
import { freshDatabase, type FreshDatabase } from '../../support/stack.js';

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
  await migrate({ url: fresh.url, schema: 'api', migrations: apiMigrations });
});
afterAll(() => fresh?.drop());

it('the tables are what the entities say', async () => {
  const dataSource = createDataSource({
    url: fresh.url,
    schema: 'api',
    entities: [RunEntity, RunEventEntity, ParkedEventEntity, DecisionEntity, RefusedCommandEntity],
    migrations: apiMigrations,
  });
  await dataSource.initialize();
  const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
  await dataSource.destroy();
  expect(upQueries.map(({ query }) => query)).toEqual([]);
});

it('every table of runs and events has the tenant in its key, so that no id is looked up without one', async () => {
  const database = new Database({ url: fresh.url, applicationName: 'schema.spec' });
  const { rows } = await database.query<{ table: string; first: string }>(`
    SELECT i.indrelid::regclass::text AS "table", a.attname AS first
    FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indisprimary AND i.indrelid::regclass::text IN ('api.runs', 'api.run_events', 'api.decisions')`);
  await database.close();
  expect(rows.map(({ first }) => first)).toEqual(['tenant', 'tenant', 'tenant']);
});

it('the migrations can be undone', async () => {
  const dataSource = createDataSource({ url: fresh.url, schema: 'api', migrations: apiMigrations });
  await dataSource.initialize();
  for (const _ of apiMigrations) await dataSource.undoLastMigration();
  await dataSource.runMigrations();
  await dataSource.destroy();
});
