/**
 * How many tokens a request's text comes to, before it is sent: counted, not guessed, so that what is reserved for a call covers it.
 *
 * (T1) The counting never holds the event loop for long: text is counted in pieces, and others get their turn in between.
 * (T2) The tokeniser needs quadratic time for a run of characters without a break (a minute for 200,000 times "a"). Such runs are
 *      cut short, which counts a token or two too many for each cut, never too few by more than that.
 * (T3) What stays the same from call to call (instructions, a schema) is counted once.
 */
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import type { ModelCallRequest, Usage } from '../model-call.js';

/** What OpenAI adds around instructions, input and schema. */
const FRAME_TOKENS = 32;
/** A piece of English text takes about half a millisecond. */
const PIECE_CHARS = 4_096;
/** Longest run that is counted as it is (T2). */
const RUN_CHARS = 256;
const LONG_RUN = new RegExp(`\\S{${RUN_CHARS + 1}}|\\s{${RUN_CHARS + 1}}`);
/** Between two turns of the event loop (T1). */
const TURN_MS = 5;

/** From above, schema included. */
export async function estimateInputTokens(
  request: Pick<ModelCallRequest, 'instructions' | 'input' | 'output'>,
): Promise<number> {
  const { instructions, input, output } = request;
  const fixed = [instructions, ...(output ? [schemaText(output.schema)] : [])];
  let sum = FRAME_TOKENS + (await tokensOf(input));
  for (const text of fixed) sum += await tokensOfFixed(text);
  return sum;
}

/** What an answer that was found without its count of tokens has used, but for reasoning, which leaves no text. */
export async function estimateUsage(
  request: Pick<ModelCallRequest, 'instructions' | 'input' | 'output'>,
  text: string,
): Promise<Usage> {
  const inputTokens = await estimateInputTokens(request);
  const outputTokens = await tokensOf(text);
  const totalTokens = inputTokens + outputTokens;
  return { inputTokens, cachedInputTokens: 0, outputTokens, reasoningTokens: 0, totalTokens };
}

async function tokensOf(text: string): Promise<number> {
  let sum = 0;
  let turnBeganMs = performance.now();
  for (let at = 0; at < text.length;) {
    const end = endOfPiece(text, at);
    sum += tokensOfPiece(text.slice(at, end));
    at = end;
    if (at === text.length || performance.now() - turnBeganMs < TURN_MS) continue;
    await nextTurn();
    turnBeganMs = performance.now();
  }
  return sum;
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Between two words, where a token ends in any case; a text without words is cut where the piece is full. */
function endOfPiece(text: string, start: number): number {
  const full = start + PIECE_CHARS;
  if (full >= text.length) return text.length;
  const gap = text.lastIndexOf(' ', full);
  return gap > full - RUN_CHARS && gap > start && /\w \w/.test(text.slice(gap - 1, gap + 2))
    ? gap
    : full;
}

function tokensOfPiece(piece: string): number {
  if (!LONG_RUN.test(piece)) return count(piece);
  let sum = 0;
  for (let at = 0; at < piece.length; at += RUN_CHARS)
    sum += count(piece.slice(at, at + RUN_CHARS));
  return sum;
}

/** Special tokens in a document are plain text: whoever writes `<|endoftext|>` has not ended anything. */
const asPlainText = { allowedSpecial: new Set<string>(), disallowedSpecial: new Set<string>() };
const count = (text: string): number => countTokens(text, asPlainText);

/** (T3) A workflow has few of them; should there be many, the oldest is counted again. */
const MAX_FIXED = 256;
const fixedCounts = new Map<string, number>();

async function tokensOfFixed(text: string): Promise<number> {
  const known = fixedCounts.get(text);
  if (known !== undefined) return known;
  const counted = await tokensOf(text);
  const [oldest] = fixedCounts.keys();
  if (oldest !== undefined && fixedCounts.size >= MAX_FIXED) fixedCounts.delete(oldest);
  fixedCounts.set(text, counted);
  return counted;
}

const schemaTexts = new WeakMap<object, string>();

function schemaText(schema: object): string {
  const known = schemaTexts.get(schema);
  if (known !== undefined) return known;
  const text = JSON.stringify(schema);
  schemaTexts.set(schema, text);
  return text;
}
