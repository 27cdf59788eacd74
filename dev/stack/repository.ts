/** Where the checkout is: code of dev/ runs from dist/, while its pom.xml, samples and data folders are found from the root. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

export const repositoryRoot = findRoot(import.meta.dirname);

/** Holds everything that a checkout makes for itself; ignored by git. */
export const localFolder = join(repositoryRoot, '.holdfast');

function findRoot(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('No package.json above ' + import.meta.dirname);
  return findRoot(parent);
}
