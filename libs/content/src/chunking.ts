/** Cuts a stream of pieces of any size into chunks of one size, the last one shorter, and never holds more than one. */
import { ContentTooLargeError } from './content-errors.js';

/** @throws ContentTooLargeError as soon as more than `maxBytes` have come, before the chunk they are in */
export async function* inChunks(
  stream: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  chunkBytes: number,
  maxBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  let chunk = Buffer.allocUnsafe(chunkBytes);
  let filled = 0;
  let total = 0;
  for await (const piece of stream) {
    total += piece.length;
    if (total > maxBytes) throw new ContentTooLargeError(maxBytes);
    for (let taken = 0; taken < piece.length;) {
      const part = piece.subarray(taken, taken + chunkBytes - filled);
      chunk.set(part, filled);
      taken += part.length;
      filled += part.length;
      if (filled < chunkBytes) break;
      yield chunk;
      chunk = Buffer.allocUnsafe(chunkBytes); // the one handed out is its receiver's
      filled = 0;
    }
  }
  if (filled > 0) yield chunk.subarray(0, filled);
}
