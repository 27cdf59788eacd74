/**
 * What went wrong, as one word that decides everything else: who must act, whether Holdfast tries again, what people read.
 * `classifyFailure` in the gateway turns OpenAI's answers into these; the rest are born in the processor.
 */
export const failureClasses = [
  'invalid_request',
  'too_large',
  'policy',
  'authorization',
  'billing',
  'configuration',
  'throttled',
  'overloaded',
  'server_error',
  'timeout',
  'not_sent',
  'outcome_unknown',
  'bad_output',
  'partial_output',
  'expired',
  'budget_exceeded',
  'contended',
  'deadline_exceeded',
  'lease_lost',
  'discarded',
  'superseded',
  'cancelled',
  'internal',
] as const;
export type FailureClass = (typeof failureClasses)[number];

export interface FailureRule {
  /** What happens to the run when nothing else stops it: tried again, shown to a person, ended for good. */
  readonly fate: 'retry' | 'needs_review' | 'failed' | 'cancelled';
  /** Does a retry use up one of the run's attempts? Throttling uses up time instead. */
  readonly usesAttempt: boolean;
  readonly whoMustAct: 'nobody' | 'caller' | 'support' | 'operator';
  /** For the person who waits. No jargon, no blame, says whether to do anything. */
  readonly people: string;
}

const retry = (usesAttempt: boolean, people: string): FailureRule => ({
  fate: 'retry',
  usesAttempt,
  whoMustAct: 'nobody',
  people,
});
const review = (whoMustAct: FailureRule['whoMustAct'], people: string): FailureRule => ({
  fate: 'needs_review',
  usesAttempt: false,
  whoMustAct,
  people,
});
const failed = (whoMustAct: FailureRule['whoMustAct'], people: string): FailureRule => ({
  fate: 'failed',
  usesAttempt: false,
  whoMustAct,
  people,
});

/** Fate and words of each class. A workflow may move a class to the other fate. */
export const failureRules: Readonly<Record<FailureClass, FailureRule>> = {
  not_sent: retry(true, 'the AI service could not be reached'),
  server_error: retry(true, 'the AI service had a fault'),
  timeout: retry(true, 'the AI service took too long to answer'),
  internal: retry(true, 'Holdfast had a fault of its own'),
  throttled: retry(false, 'the AI service is busy'),
  overloaded: retry(false, 'the AI service is overloaded'),
  contended: retry(false, 'another call of this run is still being worked on'),
  lease_lost: retry(false, 'the worker that held this run stopped answering'),

  invalid_request: review('support', 'the AI service refused the request as Holdfast wrote it'),
  outcome_unknown: review('support', 'the answer to a paid call was lost on the way'),
  bad_output: review('support', 'the AI answered in a form that could not be used'),
  partial_output: review('support', 'the AI stopped before its answer was complete'),
  expired: review('support', 'the answer was no longer there when it was fetched'),
  budget_exceeded: review('support', 'the budget does not cover the next call'),
  authorization: review('operator', 'the AI service refused our credentials'),
  billing: review('operator', 'the account with the AI service has run out of credit'),
  configuration: review('operator', 'the AI model is not available to this account'),

  too_large: failed('caller', 'the document or question is too large for the AI model'),
  policy: failed('caller', 'the AI service refused the content under its usage policy'),
  deadline_exceeded: failed('caller', 'the time that was allowed for this run has passed'),
  discarded: failed('caller', 'support discarded this run'),
  superseded: failed('nobody', 'this run was replaced by another one'),
  cancelled: {
    fate: 'cancelled',
    usesAttempt: false,
    whoMustAct: 'nobody',
    people: 'the run was cancelled',
  },
};
