import { failureRules, type FailureClass } from './failure-class.js';

/** What went wrong, for the person who waits: of whatever answers for the failure, the AI service or the receiver of a webhook. */
export function wordsFor(failure: { readonly class: FailureClass; readonly code: string }): string {
  const isOfWebhook = failure.code.startsWith('webhook_');
  return (
    (isOfWebhook ? webhookWords[failure.class] : undefined) ?? failureRules[failure.class].people
  );
}

/** The classes that a webhook can fail with, as `classifyReply` in libs/webhooks gives them. */
const webhookWords: Readonly<Partial<Record<FailureClass, string>>> = {
  not_sent: 'the service that this run has to tell could not be reached',
  server_error: 'the service that this run has to tell had a fault',
  timeout: 'the service that this run has to tell took too long to answer',
  throttled: 'the service that this run has to tell is busy',
  overloaded: 'the service that this run has to tell is overloaded',
  invalid_request: 'the service that this run has to tell refused the message',
  authorization: 'the service that this run has to tell refused our credentials',
  configuration: 'Holdfast is not set up to reach the service that this run has to tell',
  outcome_unknown: 'nobody can say whether the service that this run had to tell has heard it',
};
