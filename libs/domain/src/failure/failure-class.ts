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
  /** For the person who waits: the middle of a sentence. No jargon, no blame. */
  readonly people: string;
  /** Where the run has ended: what that person can do, as a sentence. Default: ask support. */
  readonly whatToDo?: string;
  /** The word of a step that has the same call made once more all the same. */
  readonly unlessStepSays?: string;
}

type Further = Pick<FailureRule, 'whatToDo' | 'unlessStepSays'>;
const rule =
  (fate: FailureRule['fate'], usesAttempt = false) =>
  (whoMustAct: FailureRule['whoMustAct'], people: string, further: Further = {}): FailureRule => ({
    fate,
    usesAttempt,
    whoMustAct,
    people,
    ...further,
  });
const retry = rule('retry', true);
const wait = rule('retry');
const review = rule('needs_review');
const failed = rule('failed');
const cancelled = rule('cancelled');

/** Fate and words of each class. A workflow may move a class to the other fate. */
export const failureRules: Readonly<Record<FailureClass, FailureRule>> = {
  not_sent: retry('nobody', 'the AI service could not be reached'),
  server_error: retry('nobody', 'the AI service had a fault'),
  timeout: retry('nobody', 'the AI service took too long to answer'),
  internal: retry('nobody', 'Holdfast had a fault of its own'),
  throttled: wait('nobody', 'the AI service is busy'),
  overloaded: wait('nobody', 'the AI service is overloaded'),
  contended: wait('nobody', 'another part of this run is still being worked on'),
  lease_lost: wait('nobody', 'the part of Holdfast that worked on this run stopped answering'),

  invalid_request: review('support', 'the AI service refused the request as Holdfast wrote it'),
  outcome_unknown: review(
    'support',
    'an answer of the AI service was lost on the way, and asking again may be paid for twice',
    { unlessStepSays: "whenUnknown: 'resend'" },
  ),
  bad_output: review('support', 'the AI answered in a form that could not be used', {
    unlessStepSays: "repair: 'once'",
  }),
  partial_output: review('support', 'the AI stopped before its answer was complete', {
    unlessStepSays: 'largerCap',
  }),
  expired: review('support', 'the answer was no longer there when it was fetched'),
  budget_exceeded: review('support', 'the budget for this work does not cover its next part'),
  authorization: review('operator', 'the AI service did not accept our access key'),
  billing: review('operator', 'the account with the AI service has run out of credit'),
  configuration: review('operator', 'the AI model is not available to this account'),

  too_large: failed('caller', 'the document or question is too large for the AI model', {
    whatToDo: 'Shorten it or split it up, then start a new run.',
  }),
  policy: failed('caller', 'the AI service refused the content under its usage policy', {
    whatToDo: 'Change or leave out what the policy forbids, then start a new run.',
  }),
  deadline_exceeded: failed('caller', 'the time that was allowed for this run has passed', {
    whatToDo: 'If you still need the result, start a new run and allow it more time.',
  }),
  discarded: failed('caller', 'support discarded this run', {
    whatToDo: 'If you still need the result, ask support, or start a new run.',
  }),
  superseded: failed('nobody', 'this run was replaced by another one', {
    whatToDo: 'You need not do anything: the other run goes on in its place.',
  }),
  cancelled: cancelled('nobody', 'the run was cancelled'),
};
