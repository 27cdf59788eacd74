/**
 * The rules of `POST /v1/responses` that OpenAI enforces before any work is done, with its codes and wording.
 * Anything refused here costs nothing. Source: OpenAI's API reference and structured-output guide.
 */
import type {
  ResponseCreateParamsNonStreaming,
  ResponseFormatTextJSONSchemaConfig,
} from 'openai/resources/responses/responses';
import { findStrictSchemaProblem } from './check-schema.js';

export interface RequestProblem {
  readonly status: number;
  readonly code: string | null;
  readonly param: string | null;
  readonly message: string;
}

export type CheckedRequest =
  | { readonly kind: 'ok'; readonly request: ResponseCreateParamsNonStreaming }
  | { readonly kind: 'refused'; readonly problem: RequestProblem };

/** About four characters a token: near enough to be plausible, and always the same. */
export const countTokens = (text: string): number => Math.ceil(text.length / 4);

const contextWindowTokens = 400_000;

export function checkRequest(body: unknown): CheckedRequest {
  if (!isRecord(body))
    return refused(null, null, 'We could not parse the JSON body of your request.');
  const problem =
    checkParameters(body) ??
    checkModel(body.model) ??
    checkInput(body.input) ??
    checkMaxOutputTokens(body.max_output_tokens) ??
    checkMetadata(body.metadata) ??
    checkBackground(body) ??
    checkServiceTier(body.service_tier) ??
    checkFormat(body.text) ??
    checkLength(body);
  return problem === null
    ? { kind: 'ok', request: body as unknown as ResponseCreateParamsNonStreaming }
    : { kind: 'refused', problem };
}

const parameters = [
  'background',
  'conversation',
  'input',
  'instructions',
  'max_output_tokens',
  'metadata',
  'model',
  'parallel_tool_calls',
  'prompt_cache_key',
  'reasoning',
  'safety_identifier',
  'service_tier',
  'store',
  'stream',
  'temperature',
  'text',
  'tool_choice',
  'tools',
  'top_p',
  'truncation',
];

function checkParameters(body: Record<string, unknown>): RequestProblem | null {
  const unknown = Object.keys(body).find((name) => !parameters.includes(name));
  if (unknown !== undefined)
    return problem('unknown_parameter', unknown, `Unknown parameter: '${unknown}'.`);
  return body.stream === true
    ? problem('unsupported_value', 'stream', 'The simulator does not stream.')
    : null;
}

function checkModel(model: unknown): RequestProblem | null {
  if (model === undefined)
    return problem('missing_required_parameter', 'model', "Missing required parameter: 'model'.");
  if (typeof model !== 'string') return wrongType('model', 'a string', model);
  const known = /^(gpt-|o\d)/.test(model);
  const message = `The requested model '${model}' does not exist.`;
  return known ? null : { ...problem('model_not_found', 'model', message), status: 400 };
}

function checkInput(input: unknown): RequestProblem | null {
  if (input === undefined)
    return problem('missing_required_parameter', 'input', "Missing required parameter: 'input'.");
  return typeof input === 'string' || Array.isArray(input)
    ? null
    : wrongType('input', 'a string or an array', input);
}

function checkMaxOutputTokens(value: unknown): RequestProblem | null {
  if (value === undefined || value === null) return null;
  if (!Number.isInteger(value)) return wrongType('max_output_tokens', 'an integer', value);
  return (value as number) >= 16
    ? null
    : problem(
        'integer_below_min_value',
        'max_output_tokens',
        `Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got ${value as number} instead.`,
      );
}

function checkMetadata(metadata: unknown): RequestProblem | null {
  if (metadata === undefined || metadata === null) return null;
  if (!isRecord(metadata)) return wrongType('metadata', 'an object', metadata);
  const entries = Object.entries(metadata);
  if (entries.length > 16)
    return problem(
      'object_above_max_properties',
      'metadata',
      "Invalid 'metadata': too many properties. Expected at most 16.",
    );
  for (const [key, value] of entries) {
    if (typeof value !== 'string') return wrongType(`metadata.${key}`, 'a string', value);
    if (key.length > 64 || value.length > 512)
      return problem(
        'string_above_max_length',
        `metadata.${key}`,
        `Invalid 'metadata.${key.slice(0, 64)}': string too long.`,
      );
  }
  return null;
}

function checkBackground(body: Record<string, unknown>): RequestProblem | null {
  return body.background === true && body.store === false
    ? problem('invalid_value', 'background', 'Background mode requires store=true.')
    : null;
}

const serviceTiers: readonly unknown[] = ['auto', 'default', 'flex', 'priority', 'scale'];

function checkServiceTier(value: unknown): RequestProblem | null {
  if (value === undefined || value === null || serviceTiers.includes(value)) return null;
  const message = "Invalid value for 'service_tier'.";
  return problem('invalid_value', 'service_tier', message);
}

function checkFormat(text: unknown): RequestProblem | null {
  const format = isRecord(text) ? text.format : undefined;
  if (!isRecord(format) || format.type === 'text') return null;
  if (format.type !== 'json_schema')
    return problem('invalid_value', 'text.format.type', "Invalid value for 'text.format.type'.");
  const { name, schema, strict } = format as unknown as ResponseFormatTextJSONSchemaConfig;
  if (typeof name !== 'string' || !/^[a-zA-Z0-9_-]{1,64}$/.test(name))
    return problem(
      'invalid_value',
      'text.format.name',
      "Invalid 'text.format.name': expected a string of 1 to 64 letters, digits, '_' or '-'.",
    );
  const wrong = strict === true ? findStrictSchemaProblem(schema) : null;
  return wrong === null
    ? null
    : problem(
        'invalid_json_schema',
        'text.format.schema',
        `Invalid schema for response_format '${name}': ${wrong}`,
      );
}

function checkLength(body: Record<string, unknown>): RequestProblem | null {
  const tokens = countTokens(JSON.stringify([body.instructions, body.input]));
  return tokens <= contextWindowTokens
    ? null
    : problem(
        'context_length_exceeded',
        'input',
        'Your input exceeds the context window of this model. Please adjust your input and try again.',
      );
}

const problem = (code: string, param: string, message: string): RequestProblem => ({
  status: 400,
  code,
  param,
  message,
});

const refused = (code: string | null, param: string | null, message: string): CheckedRequest => ({
  kind: 'refused',
  problem: { status: 400, code, param, message },
});

const wrongType = (param: string, expected: string, got: unknown): RequestProblem =>
  problem(
    'invalid_type',
    param,
    `Invalid type for '${param}': expected ${expected}, but got ${describeType(got)} instead.`,
  );

const describeType = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
