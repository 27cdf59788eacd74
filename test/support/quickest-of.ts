/**
 * The least of several goes, in ms: what the code needs. What a busy machine adds to one of them is not the code's.
 * @param goes at most so many: the first under `enoughMs` is the last
 * @param go measures itself: what counts is seldom all of it
 */
export async function quickestOf(
  goes: number,
  enoughMs: number,
  go: () => Promise<number>,
): Promise<number> {
  let least = Infinity;
  for (let n = 0; n < goes && least >= enoughMs; n += 1) least = Math.min(least, await go());
  return least;
}
