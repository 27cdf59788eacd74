import { isTerminal, type RunStatus } from '../run/run-status.js';
import type { RunTrigger } from '../run/run-transitions.js';
import type { DecisionName, DecisionRefusal } from './decision.js';

/** What the processor knows, under the lock of the run's row, when it decides what becomes of a decision. */
export interface DecisionFacts {
  readonly decision: DecisionName;
  /** null: no such run is known (yet). */
  readonly status: RunStatus | null;
  /** A call, or an effect, may have left and not come to an end: it is being sent, was accepted, or a call's outcome is unknown. */
  readonly hasOpenCall: boolean;
  /** This build has the version of the workflow that the run was accepted with. */
  readonly hasWorkflow: boolean;
  /** For `complete`: whether the given result meets the output contract. Unread where the run was not known when it came. */
  readonly result: 'fits' | 'breaks' | 'unread';
}

export type DecisionRuling =
  /** The run moves now, by this trigger; answered as applied. */
  | { readonly kind: 'apply'; readonly trigger: DecidedTrigger }
  /** It is as was asked already; answered as applied. */
  | { readonly kind: 'already_so' }
  /** Whoever holds the run learns of it, closes its calls and ends it; answered then. */
  | { readonly kind: 'tell_owner' }
  /** Nobody holds the run, and a call may still be running: an owner has to close it first. Answered then. */
  | { readonly kind: 'close_calls_first' }
  /** Kept until the run's request arrives, and decided on then. */
  | { readonly kind: 'keep_for_request' }
  | { readonly kind: 'refuse'; readonly code: DecisionRefusal };

export type DecidedTrigger = Extract<
  RunTrigger,
  'cancelled' | 'redriven' | 'discarded' | 'completed_by_hand'
>;

/**
 * What becomes of a decision. A run with an open call is never cancelled on the spot: the call would be forgotten, and paid.
 * A second cancel rules as the first did, and is answered with it.
 */
export function decideDecision(facts: DecisionFacts): DecisionRuling {
  const { decision, status } = facts;
  if (status === null) return { kind: 'keep_for_request' };
  if (decision === 'cancel') return decideCancel(status, facts.hasOpenCall);
  if (isTerminal(status)) return refuse('run_already_ended');
  if (status !== 'needs_review') return refuse('run_not_in_review');
  switch (decision) {
    case 'discard':
      return apply('discarded');
    case 'redrive':
      return facts.hasWorkflow ? apply('redriven') : refuse('workflow_unknown');
    case 'complete':
      if (!facts.hasWorkflow) return refuse('workflow_unknown');
      return decideCompletion(facts.result);
  }
}

/** A decision that was there before its run: only a cancel can have been meant so. */
export function decideEarlyDecision(decision: DecisionName): DecisionRuling {
  return decision === 'cancel' ? apply('cancelled') : refuse('run_unknown');
}

function decideCancel(status: RunStatus, hasOpenCall: boolean): DecisionRuling {
  if (status === 'cancelled') return { kind: 'already_so' };
  if (isTerminal(status)) return refuse('run_already_ended');
  if (status === 'running') return { kind: 'tell_owner' };
  return hasOpenCall ? { kind: 'close_calls_first' } : apply('cancelled');
}

function decideCompletion(result: DecisionFacts['result']): DecisionRuling {
  switch (result) {
    case 'fits':
      return apply('completed_by_hand');
    case 'breaks':
      return refuse('result_invalid');
    case 'unread':
      return refuse('run_unknown');
  }
}

function apply(trigger: DecidedTrigger): DecisionRuling {
  return { kind: 'apply', trigger };
}

function refuse(code: DecisionRefusal): DecisionRuling {
  return { kind: 'refuse', code };
}
