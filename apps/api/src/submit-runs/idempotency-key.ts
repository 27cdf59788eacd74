import { IDEMPOTENCY_KEY } from '#libs/contracts';
import { ProblemError } from '../problem-error.js';

/** The key that makes one action one run. Node joins a repeated header with ", ", whose space is not visible: refused too. */
export function idempotencyKeyOf(header: string | string[] | undefined): string {
  if (header === undefined) {
    throw refused(
      'idempotency_key_missing',
      'is missing',
      'POST /v1/runs needs an Idempotency-Key.',
    );
  }
  if (typeof header === 'string' && IDEMPOTENCY_KEY.test(header)) return header;
  throw refused('idempotency_key_invalid', 'is not a key', 'This Idempotency-Key cannot be used.');
}

function refused(
  code: 'idempotency_key_missing' | 'idempotency_key_invalid',
  message: string,
  detail: string,
): ProblemError {
  const mend =
    'Send one Idempotency-Key of 1 to 255 visible ASCII characters: the same for every try of one action, a new one for each new action.';
  return new ProblemError(code, detail, { errors: [{ header: 'Idempotency-Key', message, mend }] });
}
