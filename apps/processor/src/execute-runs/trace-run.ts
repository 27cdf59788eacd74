/**
 * A run in our hands as a span: child of the request that the run's message came from, in the same trace however often the run
 * is claimed. A later claim links to the one before it, also where that one died without a word.
 */
import { runIdOf } from '#libs/domain';
import {
  activeSpan,
  attemptSpanId,
  formatTraceparent,
  inSpan,
  isTracing,
  parseTraceparent,
  type SpanPlan,
} from '#libs/tracing';
import type { Step } from '#libs/workflows';
import type { ExecutionRow } from '../schema/index.js';
import type { Claim } from './claim.js';
import type { FinalOutcome } from './outcome.js';

/** @param fenceBefore asked for the run's claim before this one, only while tracing is on; null: there was none */
export async function inRunSpan(
  { run }: Claim,
  fenceBefore: (run: ExecutionRow) => Promise<bigint | null>,
  work: () => Promise<void>,
): Promise<void> {
  if (!isTracing()) return work();
  const before = await fenceBefore(run).catch(() => null); // a link is not worth a run
  return inSpan(() => runSpan(run, before), work);
}

export function inStepSpan<T>(step: Step<unknown>, work: () => Promise<T>): Promise<T> {
  const attributes = { 'holdfast.step.name': step.name, 'holdfast.step.kind': step.kind };
  return inSpan(() => ({ name: `step ${step.name}`, attributes }), work);
}

/** Told inside the run's span, before its outcome is written. */
export function tellOutcome(outcome: FinalOutcome): void {
  const span = activeSpan();
  span.set({ 'holdfast.run.outcome': outcome.kind });
  if (!('failure' in outcome)) return;
  span.set({ 'holdfast.failure.code': outcome.failure.code });
  span.fail(outcome.failure.class);
}

function runSpan(run: ExecutionRow, before: bigint | null): SpanPlan {
  const trace = parseTraceparent(run.traceparent);
  const earlier =
    trace && before !== null
      ? [formatTraceparent({ ...trace, spanId: attemptSpanId(run.run_id, before) })]
      : [];
  return {
    name: `run ${run.workflow}`,
    kind: 'consumer',
    parent: run.traceparent,
    follows: earlier,
    spanId: attemptSpanId(run.run_id, run.fence),
    attributes: {
      'holdfast.run.id': runIdOf(run.run_id),
      'holdfast.tenant': run.tenant,
      'holdfast.workflow.name': run.workflow,
      'holdfast.workflow.version': run.workflow_version,
      'holdfast.run.attempt': run.attempt,
      'holdfast.run.dispatch': run.dispatch,
      'holdfast.run.fence': Number(run.fence),
    },
  };
}
