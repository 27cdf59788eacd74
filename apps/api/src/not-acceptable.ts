import { ProblemError } from './problem-error.js';

/** No media type that the caller accepts is offered here. */
export function notAcceptable(what: string, offered: readonly string[]): ProblemError {
  const types = offered.join(' or ');
  const mend = `Send Accept: ${types}.`;
  return new ProblemError('not_acceptable', `${what} comes as ${types}.`, {
    errors: [{ header: 'Accept', message: 'names nothing that is offered here', mend }],
    headers: { Vary: 'Accept' },
  });
}
