import { isNativeError } from 'node:util/types';
import { isTransientError } from '#libs/postgres';
import type { FieldLog } from '#libs/process';
import { aboutRun } from '../schema/index.js';
import { WorkAbortedError, type Lease } from './keeper.js';
import type { Pass } from './pass.js';

/** What was thrown, as the end of a pass. Messages of unknown errors may hold payload text: only their names go on. */
export function failureOf(error: unknown, lease: Lease, log: FieldLog): Pass {
  const reason: unknown = lease.signal.reason;
  if (lease.signal.aborted && reason instanceof WorkAbortedError) {
    return { kind: 'aborted', reason: reason.reason };
  }
  const { code, message } = describe(error);
  log.error({ ...aboutRun(lease.claim.run), error }, 'carrying out the run failed in our own code');
  const failure = { class: 'internal', code, message } as const;
  const nothing = { httpStatus: null, requestId: null, responseId: null, retryAfterMs: null };
  return { kind: 'failed', failures: [{ ...failure, ...nothing, step: null, item: null }] };
}

function describe(error: unknown): { code: string; message: string } {
  if (isTransientError(error)) {
    return { code: 'database_unavailable', message: 'Postgres could not be reached' };
  }
  if (!isNativeError(error)) return { code: 'thrown_value', message: 'something was thrown' };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : null;
  // Errors of ours bear a code and say nothing of payloads.
  return code === null
    ? { code: 'unexpected_error', message: error.name }
    : { code, message: `${error.name}: ${error.message}` };
}
