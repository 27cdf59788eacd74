/**
 * What a response object says: still at work, a result, or how it went wrong. A 200 alone says nothing: `failed`,
 * `incomplete` and refusals all come as one.
 */
import type { Response } from 'openai/resources/responses/responses';
import type { CallFact } from '../classify/call-fact.js';
import { readCode } from '../classify/safe-text.js';
import type { ModelOutput, Usage } from '../model-call.js';
import type { Bill } from '../money/cost-of-end.js';
import { isPlausible } from '../money/price.js';

export type ResponseReading =
  | { readonly kind: 'pending'; readonly status: 'queued' | 'in_progress' }
  | {
      readonly kind: 'completed';
      readonly output: ModelOutput;
      readonly usage: Usage;
      readonly model: string;
      /** null: it says nothing of what it used. */
      readonly bill: Bill | null;
    }
  | {
      readonly kind: 'ended_badly';
      readonly fact: CallFact;
      readonly usage: Usage | null;
      readonly bill: Bill | null;
    }
  | { readonly kind: 'cancelled' };

export function readResponse(response: Response, requestId: string | null): ResponseReading {
  const ids = { responseId: response.id, requestId };
  switch (response.status) {
    case 'completed':
      return completed(response, readOutput(response));
    case 'incomplete': {
      const reason = readCode(response.incomplete_details?.reason);
      if (reason === 'content_filter')
        return completed(response, { ...readOutput(response), kind: 'refusal' });
      return {
        kind: 'ended_badly',
        fact: { kind: 'incomplete_response', reason, ...ids },
        usage: readUsage(response),
        bill: readBill(response),
      };
    }
    case 'failed':
      return {
        kind: 'ended_badly',
        fact: { kind: 'failed_response', code: readCode(response.error?.code), ...ids },
        usage: readUsage(response),
        bill: readBill(response),
      };
    case 'cancelled':
      return { kind: 'cancelled' };
    case 'queued':
      return { kind: 'pending', status: 'queued' };
    case 'in_progress':
    case undefined:
    default:
      // A status that OpenAI adds later is one more way of not being done; the call's deadline bounds the wait.
      return { kind: 'pending', status: 'in_progress' };
  }
}

function completed(response: Response, output: ModelOutput): ResponseReading {
  const usage = readUsage(response) ?? noUsage;
  return { kind: 'completed', output, usage, model: response.model, bill: readBill(response) };
}

/** All text parts in order; one refusal part makes the whole a refusal. */
function readOutput(response: Response): ModelOutput {
  const parts = response.output.flatMap((item) => (item.type === 'message' ? item.content : []));
  const refusal = parts.find((part) => part.type === 'refusal');
  if (refusal !== undefined) return { kind: 'refusal', text: refusal.refusal };
  const texts = parts.map((part) => (part.type === 'output_text' ? part.text : ''));
  return { kind: 'text', text: texts.join('') };
}

/** Null in cancelled and failed responses, and where what is said cannot be. */
function readUsage({ usage }: Response): Usage | null {
  if (!usage) return null;
  const read = {
    inputTokens: usage.input_tokens,
    cachedInputTokens: usage.input_tokens_details?.cached_tokens ?? 0,
    ...(usage.input_tokens_details?.cache_write_tokens > 0 && {
      cacheWriteTokens: usage.input_tokens_details.cache_write_tokens,
    }),
    outputTokens: usage.output_tokens,
    reasoningTokens: usage.output_tokens_details?.reasoning_tokens ?? 0,
    totalTokens: usage.total_tokens,
  };
  return isPlausible(read) ? read : null;
}

function readBill(response: Response): Bill | null {
  const usage = readUsage(response);
  if (usage === null) return null;
  const { model, service_tier: serviceTier = null, created_at: createdAt } = response;
  const createdAtMs = Number.isFinite(createdAt) ? createdAt * 1_000 : Date.now();
  return { model, serviceTier, createdAtMs, usage };
}

const noUsage: Usage = {
  inputTokens: 0,
  cachedInputTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
  totalTokens: 0,
};
