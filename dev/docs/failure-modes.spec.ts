/** Holds docs/failure-modes.md and docs/reliability.md to the specs that they name. Real: both pages, the tree. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../stack/repository.js';

const read = (page: string) => readFileSync(join(repositoryRoot, page), 'utf8');
const page = read('docs/failure-modes.md');
const tableRows = page.split('\n').filter((line) => /^\| (?!---|What goes wrong|Point)/.test(line));
const isPoint = (row: string) => /^\| \d+ \|/.test(row);
const points = tableRows.filter(isPoint);
const failures = tableRows.filter((row) => !isPoint(row));

it('names only specs that exist', () => {
  const named = [page, read('docs/reliability.md')].flatMap((text) =>
    [...text.matchAll(/`((?:apps|libs|test|dev)\/[^`]+\.spec\.ts)`/g)].map(([, path = '']) => path),
  );
  expect(named.length).toBeGreaterThan(failures.length);
  const missing = named.filter((path) => globSync(path, { cwd: repositoryRoot }).length === 0);
  expect(missing).toEqual([]);
});

it('has no row without a spec that proves it, and none with a cell too few', () => {
  for (const row of failures) {
    expect(row.split('|')).toHaveLength(8);
    expect(row.split('|')[6]).toContain('.spec.ts`');
  }
});

it('numbers the points of the flow without a gap, and its rows name no others', () => {
  const numbers = points.map((row) => Number(row.split('|')[1]));
  expect(numbers).toEqual(points.map((_, index) => index + 1));
  for (const row of failures)
    for (const [, named = ''] of (row.split('|')[1] ?? '').matchAll(/\(([\d, –]+)\)/g))
      for (const number of named.match(/\d+/g) ?? []) expect(numbers).toContain(Number(number));
});
