import { readFile } from 'node:fs/promises';
import { numberOf, parsePause, pausePointNames } from './index.js';

it('is off unless it is set', () => {
  expect(parsePause({})).toEqual({ kind: 'none' });
  expect(parsePause({ HOLDFAST_PAUSE_AT: '' })).toEqual({ kind: 'none' });
});

it.each([
  ['call.sending', { kind: 'pause', point: 'call.sending', nth: 1 }],
  ['call.sending:3', { kind: 'pause', point: 'call.sending', nth: 3 }],
])('%s', (text, expected) => {
  expect(parsePause({ HOLDFAST_PAUSE_AT: text })).toEqual(expected);
});

it.each(['nowhere', 'call.sending:0', 'call.sending:x', 'call.sending:1:2'])(
  '%s is refused, with the names that there are',
  (text) => {
    expect(parsePause({ HOLDFAST_PAUSE_AT: text })).toMatchObject({
      kind: 'refused',
      reason: expect.stringContaining('call.opening') as string,
    });
  },
);

it('is refused in production, whatever it says', () => {
  const env = { HOLDFAST_PAUSE_AT: 'call.sending', NODE_ENV: 'production' };
  expect(parsePause(env)).toMatchObject({ kind: 'refused' });
});

it('numbers the points in the order of the catalogue', () => {
  expect(pausePointNames.map(numberOf)).toEqual(pausePointNames.map((_, index) => index + 1));
});

it('has the same points, numbers and names in docs/failure-modes.md', async () => {
  const page = await readFile(new URL('../../../docs/failure-modes.md', import.meta.url), 'utf8');
  const listed = [...page.matchAll(/^\| (\d+) +\| `([a-z.-]+)` /gm)].map(([, number, name]) => [
    Number(number),
    name,
  ]);
  expect(listed).toEqual(pausePointNames.map((name) => [numberOf(name), name]));
});
