import fc from 'fast-check';
import { placeIdOf, readPlaceId } from './stream-place.js';

const runs = fc.uniqueArray(fc.uuid(), { minLength: 1, maxLength: 100 }).map((ids) => ids.sort());
const anySeen = fc.record({ version: fc.nat(999_999_999), revision: fc.nat(999_999_999) });

describe('a place in a stream of many runs', () => {
  it('is read back as it was written, and fits a header whatever it holds', () => {
    const places = runs.chain((uuids) =>
      fc.tuple(
        fc.constant(uuids),
        fc.array(anySeen, { minLength: uuids.length, maxLength: uuids.length }),
      ),
    );
    fc.assert(
      fc.property(places, ([uuids, seen]) => {
        const id = placeIdOf(uuids, seen);
        expect(readPlaceId(id, uuids)).toEqual({ kind: 'place', seen });
        expect(id.length).toBeLessThan(2_100);
      }),
    );
  });

  it('is never taken for a place among other runs', () => {
    fc.assert(
      fc.property(runs, runs, (uuids, others) => {
        fc.pre(uuids.join() !== others.join());
        const id = placeIdOf(
          uuids,
          uuids.map(() => ({ version: 3, revision: 0 })),
        );
        expect(readPlaceId(id, others)).toEqual({ kind: 'other_runs' });
      }),
    );
  });

  it.each([
    '',
    '7',
    'abcdefgh',
    'abcdefgh.',
    'abcdefgh.1.',
    'abcdefgh.-1',
    'abcdefgh.1-',
    'abcdefgh.1-1-1',
    'abcdefgh.1e3',
    'a.1',
  ])('is not %s', (text) => expect(readPlaceId(text, ['a'])).toEqual({ kind: 'unreadable' }));
});
