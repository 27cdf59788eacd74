import { negotiate } from './negotiate.js';

const offered = ['application/json', 'text/csv'] as const;

describe('of JSON and CSV', () => {
  it.each([
    [undefined, 'application/json'],
    ['', 'application/json'],
    ['*/*', 'application/json'],
    ['text/csv', 'text/csv'],
    ['TEXT/CSV; charset=utf-8', 'text/csv'],
    ['text/*', 'text/csv'],
    ['text/html, text/*;q=0.5', 'text/csv'],
    ['text/csv, application/json', 'application/json'],
    ['text/csv;q=0.9, application/json;q=0.8', 'text/csv'],
    ['text/csv;q=1, */*;q=0.1', 'text/csv'],
    ['application/json;q=0, */*', 'text/csv'],
    ['text/html,application/xhtml+xml,*/*;q=0.8', 'application/json'],
  ])('%s gets %s', (accept, type) => expect(negotiate(accept, offered)).toBe(type));

  it.each(['text/html', 'text/csv;q=0', 'text/csv;q=-1', 'text/csv;q=x', '*/*;q=0', ';', 'csv'])(
    '%s gets neither',
    (accept) => expect(negotiate(accept, offered)).toBeUndefined(),
  );
});
