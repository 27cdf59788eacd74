/** Where the checkout is: code of dev/ runs from dist/, while its pom.xml, samples and data folders are found from the root. */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

export const repositoryRoot = findRoot(import.meta.dirname);

/**
 * Holds everything that a checkout makes for itself: data, logs, results. Default `.holdfast`, ignored by git; HOLDFAST_HOME names
 * another one, so that a second stack can run beside the first.
 */
export const localFolder = resolve(process.env.HOLDFAST_HOME || join(repositoryRoot, '.holdfast'));

function findRoot(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('No package.json above ' + import.meta.dirname);
  return findRoot(parent);
}
