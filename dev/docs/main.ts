/** `npm run generate` writes the pages that are drawn from code; `npm run generated` (`--check`) fails where one is out of date. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../stack/repository.js';
import { runLifecyclePage } from './run-lifecycle.js';

const pages: Readonly<Record<string, () => string>> = {
  'docs/run-lifecycle.md': runLifecyclePage,
};

/** The page as it is committed; undefined where there is none. */
async function committed(page: string): Promise<string | undefined> {
  return readFile(join(repositoryRoot, page), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

const isCheck = process.argv.includes('--check');
for (const [page, write] of Object.entries(pages)) {
  const text = write();
  if ((await committed(page)) === text) continue;
  if (isCheck) {
    console.error(`${page} is not what the code says: run npm run generate, and commit it`);
    process.exitCode = 1;
  } else {
    await writeFile(join(repositoryRoot, page), text);
    console.log(`${page}: written`);
  }
}
