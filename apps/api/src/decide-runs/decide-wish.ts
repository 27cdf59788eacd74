/** May what somebody wants for a run be asked of the processor? Pure. The view may be behind: the processor has the last word. */
import type { DecisionState } from '#libs/contracts';
import type { DecisionName, RunStatus } from '#libs/domain';

/** A decision that was made before. */
export interface KnownDecision {
  /** Bare UUID. */
  readonly id: string;
  readonly decision: DecisionName;
  readonly state: DecisionState;
  /** The record that brought it, where it came over Kafka. */
  readonly commandId: string | null;
}

export interface Wish {
  readonly decision: DecisionName;
  readonly commandId: string | null;
}

export type WishRefusal =
  'run_already_ended' | 'run_not_in_review' | 'redrive_pending' | 'decision_pending';

export type WishRuling =
  /** It becomes a decision. */
  | { readonly kind: 'take' }
  /** The same was decided before, and that stands for this one too. */
  | { readonly kind: 'stands'; readonly decision: KnownDecision }
  | {
      readonly kind: 'refuse';
      readonly code: WishRefusal;
      /** What it would have to wait for. */
      readonly pending: KnownDecision | null;
    };

/** `known`: all decisions about the run, oldest first. */
export function decideWish(
  wish: Wish,
  status: RunStatus,
  known: readonly KnownDecision[],
): WishRuling {
  const brought = known.find(({ commandId }) => commandId !== null && commandId === wish.commandId);
  if (brought) return { kind: 'stands', decision: brought };
  if (wish.decision === 'cancel') return decideCancel(status, known);
  if (status !== 'needs_review') return refuse('run_not_in_review');
  const pending = known.findLast(({ state }) => state === 'pending');
  if (!pending) return { kind: 'take' };
  const isSecondRedrive = wish.decision === 'redrive' && pending.decision === 'redrive';
  return refuse(isSecondRedrive ? 'redrive_pending' : 'decision_pending', pending);
}

/** Whoever cancels twice wants one thing: a run that has stopped. */
function decideCancel(status: RunStatus, known: readonly KnownDecision[]): WishRuling {
  const standing = known.findLast(
    ({ decision, state }) => decision === 'cancel' && state !== 'refused',
  );
  if (standing?.state === 'pending') return { kind: 'stands', decision: standing };
  if (status === 'completed' || status === 'failed') return refuse('run_already_ended');
  return standing ? { kind: 'stands', decision: standing } : { kind: 'take' };
}

function refuse(code: WishRefusal, pending: KnownDecision | null = null): WishRuling {
  return { kind: 'refuse', code, pending };
}
