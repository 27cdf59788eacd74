/** How many tokens a request's text comes to, before it is sent. */
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import type { ModelCallRequest } from '../model-call.js';

/** What OpenAI adds around instructions, input and schema. */
const FRAME_TOKENS = 32;
/** Above this the text is not counted but measured: four thousand tokens more or less do not matter then. */
const COUNTED_CHARS = 200_000;
/** Fewer than this many characters make a token only in scripts that are counted by bytes. */
const BYTES_PER_TOKEN = 2;

/** An estimate from above of input tokens, schema included. */
export function estimateInputTokens(
  request: Pick<ModelCallRequest, 'instructions' | 'input' | 'output'>,
): number {
  const texts = [request.instructions, request.input];
  if (request.output) texts.push(JSON.stringify(request.output.schema));
  return FRAME_TOKENS + texts.reduce((sum, text) => sum + tokensOf(text), 0);
}

/** Special tokens in a document are plain text: whoever writes `<|endoftext|>` has not ended anything. */
function tokensOf(text: string): number {
  if (text.length > COUNTED_CHARS) return Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN);
  return countTokens(text, { allowedSpecial: new Set(), disallowedSpecial: new Set() });
}
