/** What becomes of a webhook after its response was looked for. Pure. */
import type { LookUp } from '#libs/openai-gateway';

export type LookDecision =
  | { readonly kind: 'settle'; readonly outcome: LookUp['kind'] | 'given_up' }
  | { readonly kind: 'look_again'; readonly inMs: number };

/** A call that somebody follows: long enough for him to have come to its end. */
const IN_HAND_MS = 30_000;
const MAX_PAUSE_MS = 30_000;
/** Some ten minutes of looking: OpenAI need not keep a response for longer after its end. */
const MAX_LOOKS = 24;

/** @param looks at this response so far, from 1 */
export function decideLook(found: LookUp['kind'], looks: number): LookDecision {
  switch (found) {
    case 'booked':
    case 'known':
    case 'twin':
    case 'not_ours':
    case 'gone':
      return { kind: 'settle', outcome: found };
    case 'in_hand':
      return { kind: 'look_again', inMs: IN_HAND_MS };
    case 'not_yet':
      if (looks >= MAX_LOOKS) return { kind: 'settle', outcome: 'given_up' };
      return { kind: 'look_again', inMs: Math.min(MAX_PAUSE_MS, 500 * 2 ** looks) };
  }
}
