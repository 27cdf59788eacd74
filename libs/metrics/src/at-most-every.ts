/**
 * A reading that costs: asked for as often as one likes, it is made at most once in `everyMs`, and never twice at a time. One
 * that failed is not kept.
 */
export function atMostEvery<T>(
  everyMs: number,
  read: () => Promise<T>,
  nowMs: () => number = () => performance.now(),
): () => Promise<T> {
  let newest: { readonly reading: Promise<T>; readonly sinceMs: number; isDone: boolean } | null =
    null;
  return () => {
    if (newest && (!newest.isDone || nowMs() - newest.sinceMs < everyMs)) return newest.reading;
    const mine = { reading: read(), sinceMs: nowMs(), isDone: false };
    newest = mine;
    mine.reading.then(
      () => (mine.isDone = true),
      () => (newest = null),
    );
    return mine.reading;
  };
}
