/** When to compare the spend of a run at rest with the ledger next, where nobody brings news of it before. Pure. */

const FIRST_PAUSE_MS = 20_000;
const MAX_PAUSE_MS = 3_600_000;
/** Some four days: OpenAI repeats a webhook for three. */
const MAX_LOOKS = 100;

/**
 * @param looks at this run so far, from 1
 * @returns null: not by itself any more
 */
export function decideNextLook(looks: number): number | null {
  if (looks >= MAX_LOOKS) return null;
  return Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (looks - 1));
}
