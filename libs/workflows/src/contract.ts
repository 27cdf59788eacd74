/** A schema together with the type of what meets it. Past `parse`, types are facts. */
import { checkSchema } from './schema/check-schema.js';
import type { FromSchema, JsonSchema } from './schema/json-schema.js';
import type { Reading } from './workflow.js';

export interface Contract<T> {
  readonly schema: JsonSchema;
  parse(value: unknown): Reading<T>;
  /** The same for JSON text, such as a model's answer. */
  parseText(text: string): Reading<T>;
  /** For values that were checked on their way in: a breach is a fault of ours, and says where. */
  require(value: unknown): T;
}

export class ContractBrokenError extends Error {
  readonly code = 'contract_broken';
  readonly terminal = true;

  constructor(readonly problems: readonly string[]) {
    super(`The value does not meet its contract: ${problems.join('; ')}`);
    this.name = 'ContractBrokenError';
  }
}

export function contract<const S extends JsonSchema>(schema: S): Contract<FromSchema<S>> {
  const parse = (value: unknown): Reading<FromSchema<S>> => {
    const problems = checkSchema(schema, value);
    if (problems.length > 0) {
      return { kind: 'broken', problems: problems.map((p) => `${p.pointer || '/'}: ${p.message}`) };
    }
    // The edge: the schema has just said so.
    return { kind: 'read', value: value as FromSchema<S> };
  };
  return {
    schema,
    parse,
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

function parseJson(text: string): Reading<unknown> {
  try {
    return { kind: 'read', value: JSON.parse(text) };
  } catch {
    // The parser's own message quotes the text, which must not reach a log.
    return { kind: 'broken', problems: [`is not JSON (${text.length} characters)`] };
  }
}
