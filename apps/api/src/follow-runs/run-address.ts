import { isRunId, uuidOf } from '#libs/domain';
import { ProblemError } from '../problem-error.js';

/** The UUID behind the run id of an address. */
export function runUuidOf(runId: string): string {
  if (isRunId(runId)) return uuidOf(runId);
  const mend = 'Use the id that POST /v1/runs answered: run_ and a UUID in lower case.';
  throw new ProblemError('invalid_run_id', 'The address does not hold a run id.', {
    errors: [{ parameter: 'id', message: 'is not a run id', mend }],
  });
}

export function runNotFound(runId: string): ProblemError {
  return new ProblemError('run_not_found', `There is no run ${runId}.`);
}
