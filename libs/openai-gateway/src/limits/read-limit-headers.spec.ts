import fc from 'fast-check';
import { readLimitHeaders } from './read-limit-headers.js';

const read = (limit: string, left: string) => {
  const { limitRequests, leftTokens } = readLimitHeaders(
    new Headers({ 'x-ratelimit-limit-requests': limit, 'x-ratelimit-remaining-tokens': left }),
  );
  return [limitRequests, leftTokens];
};

describe("OpenAI's limit headers", () => {
  it.each<[string, string, (number | null)[]]>([
    ['500', '0', [500, 0]],
    ['0', '12.5', [null, 12.5]],
    ['-500', '-1', [null, null]],
    ['NaN', 'Infinity', [null, null]],
    ['1e9', '0x10', [null, null]],
    ['999999999999999999999', '5, 6', [null, null]],
  ])('of a limit of %j and %j left say %j', (limit, left, said) => {
    expect(read(limit, left)).toEqual(said);
  });

  it('that are not there say nothing', () => {
    expect(Object.values(readLimitHeaders(new Headers()))).toEqual([null, null, null, null]);
  });

  it('never say anything but a number that a limit may have', () => {
    const ascii = fc.string({
      unit: fc.integer({ min: 0x20, max: 0x7e }).map((c) => String.fromCharCode(c)),
    });
    fc.assert(
      fc.property(ascii, (text) => {
        const [limit, left] = read(text, text);
        for (const said of [limit, left]) expect(said ?? 1).toBeGreaterThanOrEqual(0);
        expect(Math.max(limit ?? 0, left ?? 0)).toBeLessThanOrEqual(1e12);
      }),
    );
  });
});
