import { createHash } from 'node:crypto';
import { fingerprintSource, type FailureClass, type RunFailure } from '#libs/domain';

/** A failure that no step and no call has met: it was found, or decided, about the run as a whole. */
export function ownFailure(
  said: { readonly class: FailureClass; readonly code: string; readonly message: string },
  workflow: string,
): RunFailure {
  const whole = { ...said, httpStatus: null, step: null };
  const source = fingerprintSource(whole, workflow);
  const fingerprint = createHash('sha256').update(source).digest('hex').slice(0, 16);
  const nothing = { requestId: null, responseId: null, item: null, itemsFailed: null };
  return { ...whole, fingerprint, ...nothing };
}
