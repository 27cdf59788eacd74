/** Pages for people name files; a renamed file must not leave them behind. Real: all pages that are written by hand, the tree. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../stack/repository.js';

const pages = globSync(['README.md', 'CONTRIBUTING.md', 'docs/*.md'], { cwd: repositoryRoot });
/** Told as what is to be made. */
const examples = 'docs/writing-a-workflow.md';

it.each(pages.filter((page) => page !== examples))('%s names only files that exist', (page) => {
  const text = readFileSync(join(repositoryRoot, page), 'utf8');
  const named = text.matchAll(/`((?:apps|libs|test|dev|bench|docs)\/[^`\s<{]+)`/g);
  const paths = [...named].map(([, path = '']) => path);
  const missing = paths.filter((path) => globSync(path, { cwd: repositoryRoot }).length === 0);
  expect(missing).toEqual([]);
});

it('every link between the pages leads somewhere', () => {
  for (const page of pages) {
    const text = readFileSync(join(repositoryRoot, page), 'utf8');
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g)) {
      const found = globSync(join(page, '..', target), { cwd: repositoryRoot });
      expect([page, target, found.length]).toEqual([page, target, 1]);
    }
  }
});
