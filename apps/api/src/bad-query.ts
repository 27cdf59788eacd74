import type { ProblemField } from '#libs/contracts';
import { ProblemError } from './problem-error.js';

/** A query is flat: its fields are named as parameters, not by pointer. */
export function badQuery(
  wrong: readonly Required<Pick<ProblemField, 'pointer' | 'message' | 'mend'>>[],
) {
  const errors = wrong.map(({ pointer, message, mend }) => ({
    parameter: pointer.slice(1),
    message,
    mend,
  }));
  const places = errors.map(({ parameter, message }) => `${parameter} ${message}`);
  return new ProblemError('invalid_query', `The query cannot be read: ${places.join('; ')}.`, {
    errors,
  });
}
