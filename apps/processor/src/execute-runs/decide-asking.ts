/**
 * Which call of an item is made next, and how it is put. Everything that it rests on stands in the call ledger, so that whoever takes
 * the run over puts it in the same way: what was cut, what was answered and is mended, what the flex tier had no room for.
 *
 * (Q1) An answer is mended at most once, an answer that was cut is asked for with the larger cap at most once, and the flex tier is
 *      left at most once: each is told from an earlier try. A redrive forgets them: it is a person's word to begin anew.
 * (Q2) A try that mends an answer, and fails for a reason that passes, is followed by one that mends the same answer.
 * (Q3) A call that ran into a latched lane is made anew: it is parked until the lane is open.
 */
import type { RetryPolicy } from '#libs/domain';
import { flexIsFull, isLaneFault, type CallFailure, type NewestCall } from '#libs/openai-gateway';
import { isRetryable } from './decide-outcome.js';

/** One call of an item. */
export interface Asking {
  readonly try: number;
  /** The earlier try whose answer goes back with what is wrong with it; null: none does. */
  readonly mends: number | null;
  readonly cap: 'first' | 'larger';
  readonly tier: 'stated' | 'default';
}

/** What the step allows. */
export interface AskingPolicy {
  readonly mayMend: boolean;
  readonly hasLargerCap: boolean;
  readonly mayLeaveFlex: boolean;
  readonly retry: RetryPolicy;
}

export type FirstAsking =
  | { readonly kind: 'ask'; readonly asking: Asking }
  /** It ended before, and is not asked for again. */
  | { readonly kind: 'failed'; readonly failure: CallFailure };

/** From where a pass goes on. `isAnew`: the newest call ended before a person had the run sent on. */
export function decideFirst(
  newest: NewestCall | undefined,
  isAnew: boolean,
  policy: AskingPolicy,
): FirstAsking {
  if (newest === undefined) return { kind: 'ask', asking: plain(0) };
  if (isAnew) return { kind: 'ask', asking: plain(newest.try + (newest.endedWith ? 1 : 0)) };
  const asking: Asking = {
    try: newest.try,
    mends: policy.mayMend ? newest.answeredTry : null,
    cap: policy.hasLargerCap && newest.wasCut ? 'larger' : 'first',
    tier: policy.mayLeaveFlex && newest.wasFull ? 'default' : 'stated',
  };
  const { endedWith } = newest;
  if (endedWith === null) return { kind: 'ask', asking };
  const next = afterFailure(asking, endedWith, policy);
  if (next !== null) return { kind: 'ask', asking: next };
  return isRetryable(endedWith, policy.retry) || isLaneFault(endedWith.class) // (Q3)
    ? { kind: 'ask', asking: { ...asking, try: asking.try + 1 } } // (Q2)
    : { kind: 'failed', failure: endedWith };
}

/** The call that follows at once on one that failed; null: the run decides. */
export function afterFailure(
  asking: Asking,
  failure: Pick<CallFailure, 'class' | 'code'>,
  policy: AskingPolicy,
): Asking | null {
  const next = { ...asking, try: asking.try + 1 };
  if (failure.class === 'partial_output' && policy.hasLargerCap && asking.cap === 'first')
    return { ...next, cap: 'larger' };
  if (failure.code === flexIsFull && policy.mayLeaveFlex && asking.tier === 'stated')
    return { ...next, tier: 'default' };
  return null;
}

/** The call that mends an answer that could not be read; null: a person decides. */
export function afterBrokenAnswer(asking: Asking, policy: AskingPolicy): Asking | null {
  if (!policy.mayMend || asking.mends !== null) return null; // (Q1)
  return { ...asking, try: asking.try + 1, mends: asking.try };
}

const plain = (number: number): Asking => ({
  ...{ try: number, mends: null, cap: 'first', tier: 'stated' },
});
