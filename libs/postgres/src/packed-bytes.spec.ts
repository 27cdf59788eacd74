import fc from 'fast-check';
import { packBytes } from './packed-bytes.js';

const values = fc.array(fc.option(fc.uint8Array({ maxLength: 20 })), { maxLength: 20 });

it('gives every value back, empty ones and nulls included', () => {
  fc.assert(
    fc.property(values, (given) => {
      const { bytes, starts, sizes } = packBytes(given);
      const cut = starts.map((start, index) => {
        const size = sizes[index] ?? null;
        return size === null ? null : new Uint8Array(bytes.subarray(start - 1, start - 1 + size));
      });
      expect(cut).toEqual(given.map((value) => value && new Uint8Array(value)));
    }),
  );
});
