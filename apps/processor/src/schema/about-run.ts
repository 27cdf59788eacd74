import { runIdOf } from '#libs/domain';
import type { LogFields } from '#libs/process';
import type { ExecutionRow } from './execution.js';

/** Which run a line of the log is about. */
export function aboutRun(
  run: Pick<ExecutionRow, 'run_id' | 'tenant' | 'dispatch' | 'attempt' | 'traceparent'>,
): LogFields {
  const { tenant, dispatch, attempt, traceparent } = run;
  const traceId = traceparent?.split('-')[1]; // W3C: version, trace id, parent id, flags
  return { runId: runIdOf(run.run_id), tenant, dispatch, attempt, traceId };
}
