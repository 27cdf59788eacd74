/** Real: Postgres, migrated by both apps. Stands in: nothing. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Database } from '#libs/postgres';
import { databasePage } from '../../../dev/docs/database-page.js';
import { repositoryRoot } from '../../../dev/stack/repository.js';
import { freshDatabase, type FreshDatabase } from '../../support/stack.js';

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase('migrated');
});
afterAll(() => fresh?.drop());

const committed = () => readFile(join(repositoryRoot, 'docs/database.md'), 'utf8');

it('docs/database.md shows the database as the migrations make it: else run npm run generate', async () => {
  expect(await databasePage(fresh.url)).toBe(await committed());
});

it('every table says what it is for: else add a COMMENT ON TABLE to its migration', async () => {
  expect(await committed()).not.toContain('No comment says what it is for.');
});

it('a column that no page knows of shows', async () => {
  const database = new Database({ url: fresh.url, applicationName: 'database-page.spec' });
  await database.query('ALTER TABLE processor.lanes ADD COLUMN surprise text');
  await database.close();
  const added = (await databasePage(fresh.url)).split('\n');
  const known = new Set((await committed()).split('\n'));
  expect(added.filter((line) => !known.has(line))).toEqual(['| `surprise` | `text`, or null |  |']);
});
