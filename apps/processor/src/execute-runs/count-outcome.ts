import type { Metrics } from '#libs/metrics';
import type { ExecutionRow } from '../schema/index.js';
import type { Outcome } from './outcome.js';

const ENDS: readonly string[] = ['completed', 'failed', 'needs_review', 'cancelled'];

/** What a pass over a run came to, once it is written. */
export function countOutcome(
  metrics: Metrics,
  run: Pick<ExecutionRow, 'admitted_at' | 'attempt'>,
  outcome: Outcome,
  nowMs: number,
): void {
  const { kind } = outcome;
  const failed = 'failure' in outcome ? outcome.failure.class : 'none';
  metrics.add('holdfast_run_outcomes_total', { outcome: kind, class: failed });
  if (kind === 'cancelled') {
    metrics.add('holdfast_decisions_total', { decision: 'cancel', outcome: 'applied' });
  }
  if (!ENDS.includes(kind)) return;
  const tookMs = nowMs - run.admitted_at.getTime();
  metrics.observe('holdfast_run_duration_seconds', { outcome: kind }, tookMs / 1_000);
  metrics.observe('holdfast_run_attempts', { outcome: kind }, run.attempt);
}
