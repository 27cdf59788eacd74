/** A person's decision on its way into the processor's own tables: read and checked. */
import { parseDecisionCommand, reemissionOf, type BudgetPart } from '#libs/contracts';
import { isDecisionId, isRunId, uuidOf, uuidOfDecision, type DecisionName } from '#libs/domain';
import type { ReceivedMessage } from '#libs/messaging';

export interface IncomingDecision {
  /** Bare UUIDs. */
  readonly runId: string;
  readonly decisionId: string;
  readonly decision: DecisionName;
  readonly tenant: string;
  /** In the words of whoever decided. */
  readonly reason: string | null;
  /** Of `complete`: the result in the content store. */
  readonly resultRef: string | null;
  /** Of `redrive`: the run's budget from now on; null: as it is. */
  readonly budget: BudgetPart | null;
  /** The api sends it again, for it has heard no answer. */
  readonly isReemitted: boolean;
}

export type ReadDecision =
  | { readonly kind: 'decision'; readonly decision: IncomingDecision }
  /** It is no decision about any run; it goes to the dead letters, with the reason. */
  | { readonly kind: 'refused'; readonly code: string; readonly reason: string };

export function readDecision(message: ReceivedMessage): ReadDecision {
  const parsed = parseDecisionCommand(message);
  if (parsed.kind === 'unknown_type') {
    return refused('type_unknown', `type ${parsed.type} is not known to this build`);
  }
  if (parsed.kind === 'invalid') {
    const places = parsed.problems.map(({ pointer, message }) => `${pointer}: ${message}`);
    return refused('data_invalid', places.join('; '));
  }
  const { decision, data } = parsed.value;
  const { runId, decisionId, tenant, reason } = data;
  if (!isRunId(runId) || runId !== message.key) {
    return refused('key_mismatch', 'the key of the record must be the runId of its data');
  }
  if (!isDecisionId(decisionId)) return refused('data_invalid', '/decisionId: is no decision id');
  const resultRef = decision === 'complete' ? data.resultRef : null;
  const budget = decision === 'redrive' ? (data.budget ?? null) : null;
  const ids = { runId: uuidOf(runId), decisionId: uuidOfDecision(decisionId) };
  const isReemitted = reemissionOf(message.headers) !== null;
  const given = { decision, tenant, reason: reason ?? null, resultRef, budget, isReemitted };
  return { kind: 'decision', decision: { ...ids, ...given } };
}

function refused(code: string, reason: string): ReadDecision {
  return { kind: 'refused', code, reason };
}
