/** Real: docs/failure-modes.md. That its specs exist, and those that other pages name, is in named-files.spec.ts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../stack/repository.js';

const page = readFileSync(join(repositoryRoot, 'docs/failure-modes.md'), 'utf8');
const tableRows = page.split('\n').filter((line) => /^\| (?!---|What goes wrong|Point)/.test(line));
const isPoint = (row: string) => /^\| \d+ \|/.test(row);
const points = tableRows.filter(isPoint);
const failures = tableRows.filter((row) => !isPoint(row));

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
