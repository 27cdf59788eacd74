/**
 * Checks a value against a JSON schema (2020-12) and says, for every fault, where it is, what is wrong, and what to do
 * about it. Texts never repeat the value: it may be a secret, or model output that must not reach a log.
 */
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { JsonSchema } from './json-schema.js';

export interface SchemaProblem {
  /** JSON Pointer (RFC 6901), as in `/documents/0`; for a missing or unknown field, to that field; '' is the whole. */
  readonly pointer: string;
  /** The schema's keyword that was broken, as in `required` or `maxLength`. */
  readonly rule: string;
  readonly message: string;
  /** What the sender should do. */
  readonly mend: string;
}

/** A hostile value can break a rule a million times; nobody reads past these. */
const MOST_PROBLEMS = 100;

/** The faults of `value`, in a stable order, at most 100; empty when it meets the schema. */
export function checkSchema(schema: JsonSchema, value: unknown): SchemaProblem[] {
  const validate = compileSchema(schema);
  if (validate(value)) return [];
  const errors = validate.errors ?? [];
  return withoutBranches(errors).slice(0, MOST_PROBLEMS).map(toProblem);
}

const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true, verbose: false });
/**
 * Compiling costs milliseconds, checking microseconds: ajv keeps what it made of a schema object, so state schemas once,
 * as constants. Throws on a broken schema.
 */
export const compileSchema = (schema: JsonSchema): ValidateFunction => ajv.compile(schema);

/** When no option of an `anyOf` fits, what is wrong with each of them only confuses. */
function withoutBranches(errors: readonly ErrorObject[]): ErrorObject[] {
  const choices = errors.filter(({ keyword }) => keyword === 'anyOf' || keyword === 'oneOf');
  return errors.filter(
    (error) =>
      !choices.some(
        (choice) =>
          choice !== error &&
          error.schemaPath.startsWith(`${choice.schemaPath}/`) &&
          error.instancePath.startsWith(choice.instancePath),
      ),
  );
}

function toProblem(error: ErrorObject): SchemaProblem {
  const { message, mend } = explain(error);
  return { pointer: pointerOf(error), rule: error.keyword, message, mend };
}

function pointerOf({ instancePath, params }: ErrorObject): string {
  const field = textOf(params, 'missingProperty') ?? textOf(params, 'additionalProperty');
  return field === null
    ? instancePath
    : `${instancePath}/${field.replace(/~/g, '~0').replace(/\//g, '~1')}`;
}

interface Explanation {
  readonly message: string;
  readonly mend: string;
}

/** One row per keyword: the closed catalogue of what can be said. */
function explain({ keyword, params, schemaPath }: ErrorObject): Explanation {
  const limit = textOf(params, 'limit') ?? '';
  switch (keyword) {
    case 'required':
      return { message: 'is missing', mend: 'Add this field.' };
    case 'additionalProperties':
      return { message: 'is not a known field', mend: 'Remove it, or correct its spelling.' };
    case 'type':
      return typeExplanation(textOf(params, 'type') ?? '');
    case 'enum':
    case 'const':
      return { message: 'is not one of the allowed values', mend: `Use ${allowedValues(params)}.` };
    case 'minLength':
      return limit === '1'
        ? { message: 'is empty', mend: 'Give it a text.' }
        : {
            message: `is shorter than ${limit} characters`,
            mend: `Use ${limit} characters or more.`,
          };
    case 'maxLength':
      return {
        message: `is longer than ${limit} characters`,
        mend: `Shorten it to ${limit} characters or fewer.`,
      };
    case 'minItems':
      return { message: `has fewer than ${limit} entries`, mend: `Give ${limit} entries or more.` };
    case 'maxItems':
      return { message: `has more than ${limit} entries`, mend: `Give ${limit} entries or fewer.` };
    case 'uniqueItems':
      return { message: 'holds the same entry twice', mend: 'Remove the repetition.' };
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'exclusiveMaximum': {
      const rule = `${textOf(params, 'comparison') ?? ''} ${limit}`;
      return { message: `must be ${rule}`, mend: `Use a number ${rule}.` };
    }
    case 'pattern':
      return {
        message: 'does not have the expected form',
        mend: `Make it match ${textOf(params, 'pattern') ?? 'the pattern'}.`,
      };
    case 'anyOf':
    case 'oneOf':
      return {
        message: 'has none of the allowed forms',
        mend: 'Use one of the forms in the schema.',
      };
    default:
      return { message: `breaks the rule "${keyword}"`, mend: `See ${schemaPath} in the schema.` };
  }
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  null: 'null',
};

function typeExplanation(types: string): Explanation {
  const names = types.split(',').map((type) => TYPE_NAMES[type] ?? type);
  return { message: `is not ${names.join(' or ')}`, mend: `Give ${names.join(' or ')}.` };
}

function allowedValues(params: Readonly<Record<string, unknown>>): string {
  const values = 'allowedValue' in params ? [params.allowedValue] : params.allowedValues;
  return (Array.isArray(values) ? (values as unknown[]) : [])
    .map((value) => JSON.stringify(value))
    .join(', ');
}

function textOf(params: Readonly<Record<string, unknown>>, name: string): string | null {
  const value = params[name];
  if (Array.isArray(value)) return value.join(',');
  return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
}
