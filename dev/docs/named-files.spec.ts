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

it('the layout in the architecture names every folder of the apps, and every lib', () => {
  const page = readFileSync(join(repositoryRoot, 'docs/architecture.md'), 'utf8');
  const layout = /## Layout\n\n```\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  for (const app of globSync('apps/*', { cwd: repositoryRoot })) {
    const own = layout.split(`${app}/src/\n`)[1]?.split(/\n(?! )/)[0] ?? '';
    const folders = globSync('*/', { cwd: join(repositoryRoot, app, 'src') });
    for (const folder of folders)
      expect([app, own]).toEqual([app, expect.stringContaining(folder)]);
  }
  const libs = /^libs\/ .*/m.exec(layout)?.[0] ?? '';
  for (const lib of globSync('*', { cwd: join(repositoryRoot, 'libs') }))
    expect(libs.split(/[\s,:]+/)).toContain(lib);
});
