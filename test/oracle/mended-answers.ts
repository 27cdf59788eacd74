/**
 * Which calls mend which answers, by what OpenAI was asked and what it had answered: the simulator spoils an answer on purpose, and the
 * request that mends it holds the same question and that answer. Pure; takes no word of Holdfast's for it, no number of a try, no state.
 */
import type { Exchange } from '../../dev/simulator/accepted-work.js';

/** Longer answers are cut where they are quoted. */
const QUOTED_CHARS = 1_000;

/** By the response of the call that mends: the call whose answer it mends. */
export function mendedAnswers(exchanges: readonly Exchange[]): ReadonlyMap<string, string> {
  const spoilt = exchanges.filter(({ isSpoilt }) => isSpoilt);
  return new Map(
    exchanges.flatMap((later): [string, string][] => {
      const mended = spoilt.find((earlier) => mends(later, earlier));
      return mended?.callId ? [[later.responseId, mended.callId]] : [];
    }),
  );
}

function mends(later: Exchange, earlier: Exchange): boolean {
  return (
    later.runId === earlier.runId &&
    later.callId !== earlier.callId &&
    later.input.length > earlier.input.length &&
    later.input.startsWith(earlier.input) &&
    later.input.slice(earlier.input.length).includes(earlier.answer.slice(0, QUOTED_CHARS))
  );
}
