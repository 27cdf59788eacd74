/** A schema together with the type of what meets it. Past it, types are facts. */
import { checkSchema, type SchemaProblem } from './schema/check-schema.js';
import type { FromSchema, JsonSchema } from './schema/json-schema.js';
import type { Reading } from './workflow.js';

export interface Contract<T> {
  readonly schema: JsonSchema;
  /** Reads JSON text that a model wrote. */
  parseText(text: string): Reading<T>;
  /** For values that were checked on their way in: a breach is a fault of ours. */
  require(value: unknown): T;
}

export class ContractBrokenError extends Error {
  readonly code = 'contract_broken';
  readonly terminal = true;

  constructor(readonly problems: readonly string[]) {
    super(`The value does not meet its contract: ${problems.join('; ')}.`);
    this.name = 'ContractBrokenError';
  }
}

/** Write the schema in place or `as const`: its type is read off it. */
export function contract<const S extends JsonSchema>(schema: S): Contract<FromSchema<S>> {
  const parse = (value: unknown): Reading<FromSchema<S>> => {
    const problems = checkSchema(schema, value);
    if (problems.length > 0) return { kind: 'broken', problems: problems.map(describe) };
    // The edge: the schema has just said so.
    return { kind: 'read', value: value as FromSchema<S> };
  };
  return {
    schema,
    parseText: (text) => {
      const json = parseJson(text);
      return json.kind === 'broken' ? json : parse(json.value);
    },
    require: (value) => {
      const reading = parse(value);
      if (reading.kind === 'broken') throw new ContractBrokenError(reading.problems);
      return reading.value;
    },
  };
}

/** An unknown field's name is the sender's own text, which a log must not get: it is placed, not named. */
function describe({ pointer, rule, message }: SchemaProblem): string {
  if (rule !== 'additionalProperties') return `${pointer || '/'} ${message}`;
  return `${pointer.slice(0, pointer.lastIndexOf('/')) || '/'} holds a field that is not known`;
}

function parseJson(text: string): Reading<unknown> {
  try {
    return { kind: 'read', value: JSON.parse(text) };
  } catch {
    // The parser's own message quotes the text, which must not reach a log.
    return { kind: 'broken', problems: [`/ is not JSON (${text.length} characters)`] };
  }
}
