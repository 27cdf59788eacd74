import { failureRules, type FailureClass } from './failure-class.js';

/** What went wrong, for the person who waits: of whatever answers for the failure, the AI service or the receiver of a webhook. */
export function wordsFor(failure: { readonly class: FailureClass; readonly code: string }): string {
  const isOfWebhook = failure.code.startsWith('webhook_');
  return (
    (isOfWebhook ? webhookWords[failure.class] : undefined) ?? failureRules[failure.class].people
  );
}

/** What happens next with a run that waits for a person, as a sentence, and that the one who waits need not do anything. */
export function whatNext(failure: { readonly class: FailureClass } | null): string {
  return failure !== null && failureRules[failure.class].whoMustAct === 'operator'
    ? 'The run is kept as it is until the operator has put that right and sends it on; you need not do anything.'
    : 'The run is kept as it is until support decides how it goes on; you need not do anything.';
}

/** What can be done after a run that has ended without a result, as a sentence. */
export function whatToDo(failure: { readonly class: FailureClass } | null): string {
  const said = failure === null ? undefined : failureRules[failure.class].whatToDo;
  return said ?? 'Nothing more happens by itself. If you still need the result, ask support.';
}

/** The classes that a webhook can fail with, as `classifyReply` in libs/webhooks gives them. */
const webhookWords: Readonly<Partial<Record<FailureClass, string>>> = {
  not_sent: 'the service that this run has to tell could not be reached',
  server_error: 'the service that this run has to tell had a fault',
  timeout: 'the service that this run has to tell took too long to answer',
  throttled: 'the service that this run has to tell is busy',
  overloaded: 'the service that this run has to tell is overloaded',
  invalid_request: 'the service that this run has to tell refused the message',
  authorization: 'the service that this run has to tell did not accept our access key',
  configuration: 'Holdfast is not set up to reach the service that this run has to tell',
  outcome_unknown: 'nobody can say whether the service that this run had to tell has heard it',
};
