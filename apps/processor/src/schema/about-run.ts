import { runIdOf } from '#libs/domain';
import type { LogFields } from '#libs/process';
import { traceIdOf } from '#libs/tracing';
import type { ExecutionRow } from './execution.js';

/** Which run a line of the log is about. */
export function aboutRun(
  run: Pick<ExecutionRow, 'run_id' | 'tenant' | 'dispatch' | 'attempt' | 'traceparent'>,
): LogFields {
  const { tenant, dispatch, attempt, traceparent } = run;
  return { runId: runIdOf(run.run_id), tenant, dispatch, attempt, traceId: traceIdOf(traceparent) };
}
