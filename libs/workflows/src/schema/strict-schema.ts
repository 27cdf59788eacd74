/**
 * What "strict" means for a contract: an object at the root, and in every object `additionalProperties: false` and each
 * key required (optional values are `null`), with no keyword that OpenAI cannot enforce while generating.
 * Source: OpenAI, "Structured model outputs", section "Supported schemas".
 */
import type { JsonSchema } from './json-schema.js';

const NOT_ENFORCED = [
  'allOf',
  'oneOf',
  'not',
  'if',
  'then',
  'else',
  'dependentRequired',
  'dependentSchemas',
  'patternProperties',
  'unevaluatedProperties',
  'unevaluatedItems',
];
const MAX_DEPTH = 10;

/** What is wrong and how to mend it, each with the place; empty for a strict schema. */
export function strictSchemaProblems(schema: JsonSchema): string[] {
  if (schema.type !== 'object') return ['#: make the root an object ("type": "object")'];
  return problemsAt(schema, '#', 1);
}

function problemsAt(schema: unknown, at: string, depth: number): string[] {
  if (!isSchema(schema)) return [`${at}: write a schema object here`];
  if (depth > MAX_DEPTH) return [`${at}: nest no deeper than ${MAX_DEPTH} levels`];
  const keywords = NOT_ENFORCED.filter((keyword) => keyword in schema).map(
    (keyword) => `${at}: do without "${keyword}", which strict mode cannot enforce`,
  );
  const untyped = ['type', 'enum', 'const', 'anyOf', '$ref'].some((keyword) => keyword in schema)
    ? []
    : [`${at}: say which "type" it has`];
  const inside = childSchemas(schema).flatMap(([path, child]) =>
    problemsAt(child, `${at}/${path}`, depth + 1),
  );
  return [...keywords, ...untyped, ...objectProblems(schema, at), ...inside];
}

function objectProblems(schema: JsonSchema, at: string): string[] {
  const types = Array.isArray(schema.type) ? (schema.type as unknown[]) : [schema.type];
  if (!types.includes('object')) return [];
  const required = Array.isArray(schema.required) ? (schema.required as unknown[]) : [];
  const properties = Object.keys(isSchema(schema.properties) ? schema.properties : {});
  const open =
    schema.additionalProperties === false ? [] : [`${at}: set "additionalProperties": false`];
  const optional = properties
    .filter((name) => !required.includes(name))
    .map(
      (name) =>
        `${at}: list "${name}" in "required"; where it may be absent, let its type include "null"`,
    );
  return [...open, ...optional];
}

function childSchemas(schema: JsonSchema): [path: string, child: unknown][] {
  const named = ['properties', '$defs'].flatMap((keyword) => {
    const children = schema[keyword];
    if (!isSchema(children)) return [];
    return Object.entries(children).map(([name, child]): [string, unknown] => [
      `${keyword}/${name}`,
      child,
    ]);
  });
  const options = Array.isArray(schema.anyOf) ? (schema.anyOf as unknown[]) : [];
  return [
    ...named,
    ...options.map((child, at): [string, unknown] => [`anyOf/${at}`, child]),
    ...('items' in schema ? [['items', schema.items] satisfies [string, unknown]] : []),
  ];
}

const isSchema = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
