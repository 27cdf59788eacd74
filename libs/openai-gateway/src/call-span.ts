import { inSpan, type OpenSpan, type SpanPlan } from '#libs/tracing';
import type { ModelCallOutcome, ModelCallRequest } from './model-call.js';

/** A model call under one claim: https://opentelemetry.io/docs/specs/semconv/gen-ai/openai/. Never prompt or output text. */
export function inCallSpan(
  callId: string,
  request: ModelCallRequest,
  work: () => Promise<ModelCallOutcome>,
): Promise<ModelCallOutcome> {
  return inSpan(
    () => callSpan(callId, request),
    async (span) => {
      const outcome = await work();
      tellOutcome(span, outcome);
      return outcome;
    },
  );
}

function callSpan(callId: string, request: ModelCallRequest): SpanPlan {
  return {
    name: `chat ${request.model}`,
    kind: 'client',
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': request.model,
      'gen_ai.request.max_tokens': request.maxOutputTokens,
      'openai.api.type': 'responses',
      'holdfast.call.id': callId,
      'holdfast.call.mode': request.mode,
      'holdfast.call.step': request.step,
      'holdfast.call.item': request.item,
      'holdfast.call.try': request.try,
    },
  };
}

function tellOutcome(span: OpenSpan, outcome: ModelCallOutcome): void {
  span.set({ 'holdfast.call.outcome': outcome.kind });
  switch (outcome.kind) {
    case 'completed':
      span.set({
        'gen_ai.response.id': outcome.responseId,
        'gen_ai.response.model': outcome.model,
        'gen_ai.usage.input_tokens': outcome.usage.inputTokens,
        'gen_ai.usage.output_tokens': outcome.usage.outputTokens,
        'gen_ai.usage.cache_read.input_tokens': outcome.usage.cachedInputTokens,
        'holdfast.call.reused': outcome.reused,
      });
      return;
    case 'failed':
      span.set({ 'holdfast.failure.code': outcome.failure.code });
      span.fail(outcome.failure.class);
      return;
    case 'parked':
    case 'aborted':
    case 'not_owner':
    case 'stopped':
      return;
  }
}
