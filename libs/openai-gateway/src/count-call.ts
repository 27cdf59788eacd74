import type { Metrics } from '#libs/metrics';
import type { ModelCallOutcome, ModelCallRequest } from './model-call.js';

/** What came of a call, as its owner was told. */
export function countCall(
  metrics: Metrics,
  { model, mode }: ModelCallRequest,
  outcome: ModelCallOutcome,
  tookMs: number,
): void {
  const isReused = outcome.kind === 'completed' && outcome.reused;
  metrics.add('holdfast_calls_total', {
    model,
    outcome: isReused ? 'reused' : outcome.kind,
    class: outcome.kind === 'failed' ? outcome.failure.class : 'none',
  });
  if (outcome.kind !== 'completed' || isReused) return;
  metrics.observe('holdfast_call_duration_seconds', { model, mode }, tookMs / 1_000);
  const { usage } = outcome;
  const tokens = (kind: string, count: number) =>
    metrics.add('holdfast_tokens_total', { model, kind }, count);
  tokens('input', usage.inputTokens);
  tokens('cached_input', usage.cachedInputTokens);
  tokens('output', usage.outputTokens);
  tokens('reasoning', usage.reasoningTokens);
}
