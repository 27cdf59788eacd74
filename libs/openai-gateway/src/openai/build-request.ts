/**
 * A model call in OpenAI's own terms. OpenAI caches prompts by their beginning: instructions and schema come first and are the same
 * for all items of a map; what differs, the input, comes behind them.
 */
import type { ResponseCreateParamsNonStreaming } from 'openai/resources/responses/responses';
import type { ModelCallRequest } from '../model-call.js';

/**
 * @param attempt which sending of this call it is, from 1
 * @param anchor the conversation that it is sent on
 */
export function buildRequest(
  request: ModelCallRequest,
  callId: string,
  attempt: number,
  anchor: string | null,
): ResponseCreateParamsNonStreaming {
  const { output, serviceTier, promptCacheKey } = request;
  return {
    model: request.model,
    instructions: request.instructions,
    input: request.input,
    max_output_tokens: request.maxOutputTokens,
    background: request.mode === 'background',
    // Only a stored response can be fetched by its id; a foreground answer is read once, from its own reply, or from its anchor.
    store: request.mode === 'background' || anchor !== null,
    ...(anchor !== null && { conversation: anchor }),
    metadata: { call_id: callId, run_id: request.runId, attempt: String(attempt) },
    ...(serviceTier && { service_tier: serviceTier }),
    ...(promptCacheKey !== undefined && { prompt_cache_key: promptCacheKey }),
    ...(output && {
      text: {
        format: {
          type: 'json_schema',
          name: output.name,
          schema: output.schema as Record<string, unknown>,
          strict: true,
        },
      },
    }),
  };
}
