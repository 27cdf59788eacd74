/**
 * Sends rows oldest first, and finds the ones that Kafka will never take. Apart from `send` it is pure.
 *
 * (S1) Chunks go out one after the other, lower `seq` first, so the rows of a key keep their order.
 * (S2) A refused chunk is halved until the one row at fault stands alone.
 * (S3) A key whose row was refused sends nothing more: a later event without the earlier one would be a lie. (Kafka takes or
 *      refuses each partition of a request by itself: a later row of that key on another topic may have gone with it.)
 * (S4) Any other failure ends the round: what was not acknowledged is read again, in the same order.
 */
export interface Sendable {
  readonly key: string;
}

export interface SendOutcome<Row> {
  readonly acked: Row[];
  readonly refused: { readonly row: Row; readonly error: Error }[];
  /** What ended the round before its end; null when it went through. */
  readonly failure: Error | null;
}

export async function sendInOrder<Row extends Sendable>(
  rows: readonly Row[],
  send: (rows: readonly Row[]) => Promise<void>,
  isRefusal: (error: unknown) => boolean,
): Promise<SendOutcome<Row>> {
  const acked: Row[] = [];
  const refused: { row: Row; error: Error }[] = [];
  const barred = new Set<string>();
  const chunks: (readonly Row[])[] = [rows];
  for (let next = chunks.shift(); next; next = chunks.shift()) {
    const chunk = next.filter(({ key }) => !barred.has(key)); // (S3)
    const [first] = chunk;
    if (!first) continue;
    try {
      await send(chunk);
      acked.push(...chunk);
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      if (!isRefusal(thrown)) return { acked, refused, failure: error }; // (S4)
      if (chunk.length === 1) {
        refused.push({ row: first, error });
        barred.add(first.key);
      } else {
        const middle = chunk.length >> 1;
        chunks.unshift(chunk.slice(0, middle), chunk.slice(middle)); // (S1), (S2)
      }
    }
  }
  return { acked, refused, failure: null };
}
