import { isRunId, uuidOf } from '#libs/domain';
import { ProblemError } from './problem-error.js';

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

/** It was there and is not any more: the view still says how it ended. */
export function runExpired(runId: string, what: 'history' | 'result', since: Date): ProblemError {
  const detail = `The run ${runId} has ended long ago; its ${what} was removed on ${since.toISOString()}.`;
  return new ProblemError('run_expired', detail);
}

/** Some of the runs of a list. A run of another tenant is no run: nothing tells the two apart. */
export function runsNotFound(runIds: readonly string[]): ProblemError {
  const mend = 'Leave it out, or use the id that POST /v1/runs answered.';
  const errors = runIds.map((runId) => ({
    parameter: 'runs',
    message: `names ${runId}, which is not a run`,
    mend,
  }));
  return new ProblemError('run_not_found', `There is no run ${runIds.join(', nor ')}.`, { errors });
}

export function lastEventIdWrong(message: string): ProblemError {
  const mend = 'Send the id of the last event that arrived, as it was, or leave the header out.';
  return new ProblemError('invalid_header', `Last-Event-ID ${message}.`, {
    errors: [{ header: 'Last-Event-ID', message, mend }],
  });
}
