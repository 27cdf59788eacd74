import fc from 'fast-check';
import { inChunks } from './chunking.js';
import { ContentTooLargeError } from './content-errors.js';

const collect = async (chunks: AsyncIterable<Buffer>) => {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
};

describe('inChunks', () => {
  it('loses no byte, and cuts all chunks but the last to the one size', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 40 })),
        fc.integer({ min: 1, max: 16 }),
        async (pieces, size) => {
          const whole = Buffer.concat(pieces);
          const chunks = await collect(inChunks(pieces, size, whole.length));
          expect(Buffer.concat(chunks)).toEqual(whole);
          expect(chunks.every((chunk) => chunk.length > 0)).toBe(true);
          expect(chunks.slice(0, -1).every((chunk) => chunk.length === size)).toBe(true);
        },
      ),
    );
  });

  it('stops reading as soon as one byte too many has come', async () => {
    let read = 0;
    const endless = (function* () {
      for (;;) {
        read += 10;
        yield Buffer.alloc(10);
      }
    })();
    await expect(collect(inChunks(endless, 8, 25))).rejects.toThrow(ContentTooLargeError);
    expect(read).toBe(30);
  });
});
