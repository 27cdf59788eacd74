/**
 * What the stand-in model does with a request: its answer, its usage and how long it takes. A pure function of the request
 * (and of a scripted fault), so that a repeated run gives the same matrix and a test can tell a repeated call.
 */
import type {
  Response,
  ResponseCreateParamsNonStreaming,
  ResponseError,
  ResponseOutputItem,
  ResponseUsage,
} from 'openai/resources/responses/responses';
import { countTokens } from './check-request.js';
import type { Fault } from './faults.js';
import { fillSchema, hash } from './fill-schema.js';

/** How the work ends, decided when it is accepted and shown when its time has come. */
export interface WorkResult {
  readonly status: 'completed' | 'incomplete' | 'failed';
  readonly output: ResponseOutputItem[];
  readonly usage: ResponseUsage | null;
  readonly error: ResponseError | null;
  readonly incompleteDetails: Response.IncompleteDetails | null;
}

export function doWork(
  request: ResponseCreateParamsNonStreaming,
  messageId: string,
  fault: Fault | null,
): WorkResult {
  const inputTokens = countTokens(inputText(request));
  if (fault?.kind === 'failed') return failedWork(fault.code, fault.message);
  const whole = fault?.kind === 'text' ? fault.text : writeAnswer(request);
  const capTokens = request.max_output_tokens ?? Infinity;
  const reason = fault?.kind === 'incomplete' ? fault.reason : null;
  const outOfTokens = countTokens(whole) > capTokens || reason === 'max_output_tokens';
  const text = outOfTokens
    ? whole.slice(0, Math.floor(Math.min(capTokens * 4, whole.length / 2)))
    : whole;
  const content =
    fault?.kind === 'refusal'
      ? ({ type: 'refusal', refusal: fault.text ?? "I'm sorry, I can't help with that." } as const)
      : ({ type: 'output_text', text, annotations: [] } as const);
  const ended = outOfTokens ? 'max_output_tokens' : reason;
  const status = ended === null ? 'completed' : 'incomplete';
  return {
    status,
    output: [
      {
        type: 'message',
        id: messageId,
        role: 'assistant',
        status,
        content: [content.type === 'refusal' ? content : { ...content, annotations: [] }],
      },
    ],
    usage: usageOf(inputTokens, countTokens(text)),
    error: null,
    incompleteDetails: ended === null ? null : { reason: ended },
  };
}

/** What a matcher or a token count sees: instructions and input, as text. */
export function inputText(request: ResponseCreateParamsNonStreaming): string {
  return `${request.instructions ?? ''}\n${userText(request)}`;
}

export const userText = ({ input }: ResponseCreateParamsNonStreaming): string =>
  typeof input === 'string' ? input : JSON.stringify(input ?? '');

/** The alias asked for, answered by a dated snapshot, as OpenAI does. */
export const snapshotOf = (model: string): string =>
  /-\d{4}-\d{2}-\d{2}$/.test(model) ? model : `${model}-2026-01-15`;

/** Between 70 % and 130 % of the usual time, always the same for one request. */
export const workTimeMs = (
  request: ResponseCreateParamsNonStreaming,
  usualMs: number,
  fault: Fault | null,
): number =>
  fault?.kind === 'latency'
    ? fault.ms
    : Math.round(usualMs * (0.7 + (hash(inputText(request)) % 60) / 100));

function writeAnswer(request: ResponseCreateParamsNonStreaming): string {
  const format = request.text?.format;
  if (format?.type === 'json_schema')
    return JSON.stringify(fillSchema(format.schema, userText(request)));
  const question = userText(request).replace(/\s+/g, ' ').trim();
  const words = question.split(' ');
  const opening = openings[hash(question) % openings.length] ?? '';
  return `${opening} "${words.slice(0, 12).join(' ')}${words.length > 12 ? ' …' : ''}" (a simulated answer to ${words.length} words).`;
}

const openings = [
  'In short, this is about',
  'The answer turns on',
  'Put simply, you asked about',
  'Here is what can be said about',
];

function failedWork(code: string, message?: string): WorkResult {
  return {
    status: 'failed',
    output: [],
    usage: null,
    error: {
      code: code as ResponseError['code'],
      message: message ?? 'The model could not finish this response.',
    },
    incompleteDetails: null,
  };
}

const usageOf = (input: number, output: number): ResponseUsage => ({
  input_tokens: input,
  input_tokens_details: { cache_write_tokens: 0, cached_tokens: 0 },
  output_tokens: output,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: input + output,
});
