/** What people decide about a run that was accepted: one vocabulary for routes, commands, events, tables and logs. */
export const decisionNames = ['cancel', 'redrive', 'discard', 'complete'] as const;
export type DecisionName = (typeof decisionNames)[number];

/** A decision's public id: `dec_` and a UUIDv7. Tables hold the bare UUID. */
export type DecisionId = `dec_${string}`;

const DECISION_ID = /^dec_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function isDecisionId(text: string): text is DecisionId {
  return DECISION_ID.test(text);
}

export function decisionIdOf(uuid: string): DecisionId {
  return `dec_${uuid}`;
}

/** The bare UUID behind a decision id. */
export function uuidOfDecision(decisionId: DecisionId): string {
  return decisionId.slice('dec_'.length);
}

/** Why a decision was not carried out. Stable codes: they stand in `RunDecisionRefused`. */
export const decisionRefusals = [
  'run_already_ended',
  'run_not_in_review',
  'run_unknown',
  'workflow_unknown',
  'result_invalid',
] as const;
export type DecisionRefusal = (typeof decisionRefusals)[number];

/** For the person who decided. */
export const refusalReasons: Readonly<Record<DecisionRefusal, string>> = {
  run_already_ended: 'the run has already ended',
  run_not_in_review: 'the run does not wait for a person: this can be decided in needs_review only',
  run_unknown: 'the processor did not know the run when it was decided on; decide again',
  workflow_unknown:
    "the processors lack this version of the run's workflow; deploy a build that has it, then decide again",
  result_invalid: "the result does not meet the workflow's output contract",
};
