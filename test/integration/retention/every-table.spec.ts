/** Real: Postgres, with the tables of both apps and of the content store. Stands in: nothing. */
import { Database } from '#libs/postgres';
import { apiRetention } from '../../../apps/api/src/schema/index.js';
import { processorRetention } from '../../../apps/processor/src/schema/index.js';
import { freshDatabase, type FreshDatabase } from '../../support/stack.js';

let fresh: FreshDatabase;
let database: Database;

beforeAll(async () => {
  fresh = await freshDatabase('migrated');
  database = new Database({ url: fresh.url, applicationName: 'retention.spec' });
});
afterAll(async () => {
  await database?.close();
  await fresh?.drop();
});

const entries = [...apiRetention, ...processorRetention];
const tablesOf = (entry: (typeof entries)[number]) =>
  entry.kind === 'goes' ? entry.tables : [entry.table];

const tablesThere = async () => {
  const { rows } = await database.query<{ table: string }>(`
    SELECT schemaname || '.' || tablename AS "table" FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`);
  return rows.map(({ table }) => table);
};

it('every table has a rule by which its rows go, or a reason why they need not', async () => {
  const named = new Set<string>(entries.flatMap(tablesOf));
  expect([...named].sort()).toEqual(await tablesThere());
});

it('no table both stays and goes', () => {
  const stays = entries.flatMap((entry) => (entry.kind === 'stays' ? [entry.table] : []));
  const goes = entries.flatMap((entry) => (entry.kind === 'goes' ? entry.tables : []));
  expect(goes.filter((table) => stays.includes(table))).toEqual([]);
});

it('each owner removes from its own schema, and contents are the only ones that both look after', () => {
  const schemasOf = (retention: typeof apiRetention | typeof processorRetention) =>
    [
      ...new Set(retention.flatMap((entry) => tablesOf(entry)).map((table) => table.split('.')[0])),
    ].sort();
  expect(schemasOf(apiRetention)).toEqual(['api', 'content']);
  expect(schemasOf(processorRetention)).toEqual(['content', 'processor']);
});
