/**
 * `npm run generate` writes the pages that are drawn from code; `npm run generated` (`--check`) fails where one is out of date.
 * The page about the database needs a Postgres, so a spec compares it, where there is one: test/integration/docs.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { repositoryRoot } from '../stack/repository.js';
import { apiDocuments, jsonPage } from './api-documents.js';
import { databasePage } from './database-page.js';
import { failureClassesPage } from './failure-classes.js';
import { withFreshDatabase } from './fresh-database.js';
import { retentionPage } from './retention.js';
import { metricsPage } from './metrics-page.js';
import { runLifecyclePage } from './run-lifecycle.js';

const isCheck = process.argv.includes('--check');

const pages: Readonly<Record<string, () => string | Promise<string>>> = {
  ...(!isCheck && { 'docs/database.md': () => withFreshDatabase(databasePage) }),
  'docs/retention.md': retentionPage,
  'docs/run-lifecycle.md': runLifecyclePage,
  'docs/metrics.md': metricsPage,
  'docs/failure-classes.md': failureClassesPage,
  ...Object.fromEntries(
    Object.entries(apiDocuments).map(([page, document]) => [
      page,
      () => jsonPage(join(repositoryRoot, page), document()),
    ]),
  ),
};

/** Holds generated pages only: what no code writes any more must go. */
const GENERATED_FOLDER = 'docs/api/events';

/** The page as it is committed; undefined where there is none. */
async function committed(page: string): Promise<string | undefined> {
  return readFile(join(repositoryRoot, page), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

for (const [page, write] of Object.entries(pages)) {
  const text = await write();
  if ((await committed(page)) === text) continue;
  if (isCheck) {
    console.error(`${page} is not what the code says: run npm run generate, and commit it`);
    process.exitCode = 1;
  } else {
    await mkdir(dirname(join(repositoryRoot, page)), { recursive: true });
    await writeFile(join(repositoryRoot, page), text);
    console.log(`${page}: written`);
  }
}

for (const file of await readdir(join(repositoryRoot, GENERATED_FOLDER))) {
  const page = `${GENERATED_FOLDER}/${file}`;
  if (page in pages) continue;
  if (isCheck) {
    console.error(
      `${page} is written by no code: run npm run generate, and commit that it is gone`,
    );
    process.exitCode = 1;
  } else {
    await rm(join(repositoryRoot, page));
    console.log(`${page}: removed`);
  }
}
