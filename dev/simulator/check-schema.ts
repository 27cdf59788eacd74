/**
 * What OpenAI demands of a schema with `strict: true`: an object at the root, `additionalProperties: false` and every key
 * required in every object, no keyword it cannot enforce, at most 10 levels deep. Source: the structured-output guide.
 */
export type Schema = Readonly<Record<string, unknown>>;

const unsupported = [
  'allOf',
  'not',
  'dependentRequired',
  'dependentSchemas',
  'if',
  'then',
  'else',
  'patternProperties',
  'unevaluatedProperties',
  'oneOf',
];
const maxDepth = 10;

/** Null where the schema is fit for strict mode, else OpenAI's words for the first thing wrong with it. */
export function findStrictSchemaProblem(root: unknown): string | null {
  if (!isSchema(root) || root.type !== 'object')
    return `schema must be a JSON Schema of 'type: "object"', got 'type: "${String(isSchema(root) ? root.type : 'None')}"'.`;
  return check(root, [], 0);
}

function check(schema: unknown, context: readonly string[], depth: number): string | null {
  const at = `In context=(${context.map((part) => `'${part}'`).join(', ')})`;
  if (!isSchema(schema)) return `${at}, expected a schema object.`;
  if (depth > maxDepth) return `${at}, the schema is nested deeper than ${maxDepth} levels.`;
  const keyword = unsupported.find((name) => name in schema);
  if (keyword !== undefined) return `${at}, '${keyword}' is not permitted.`;
  if (!['type', 'anyOf', '$ref', 'enum', 'const'].some((name) => name in schema))
    return `${at}, schema must have a 'type' key.`;
  return (
    (isObjectType(schema) ? checkObject(schema, at, context, depth) : null) ??
    (schema.items === undefined ? null : check(schema.items, [...context, 'items'], depth + 1)) ??
    checkEach(asArray(schema.anyOf), [...context, 'anyOf'], depth) ??
    checkEach(Object.entries(asRecord(schema.$defs)), [...context, '$defs'], depth)
  );
}

function checkObject(
  schema: Schema,
  at: string,
  context: readonly string[],
  depth: number,
): string | null {
  if (schema.additionalProperties !== false)
    return `${at}, 'additionalProperties' is required to be supplied and to be false.`;
  const properties = asRecord(schema.properties);
  const required = asArray(schema.required);
  const missing = Object.keys(properties).find((key) => !required.includes(key));
  if (missing !== undefined)
    return `${at}, 'required' is required to be supplied and to be an array including every key in properties. Missing '${missing}'.`;
  return checkEach(Object.entries(properties), [...context, 'properties'], depth);
}

function checkEach(
  schemas: readonly unknown[] | readonly [string, unknown][],
  context: readonly string[],
  depth: number,
): string | null {
  for (const [index, entry] of schemas.entries()) {
    const [name, schema] = Array.isArray(entry)
      ? (entry as [string, unknown])
      : [String(index), entry];
    const found = check(schema, [...context, name], depth + 1);
    if (found !== null) return found;
  }
  return null;
}

const isObjectType = (schema: Schema): boolean =>
  schema.type === 'object' || (Array.isArray(schema.type) && schema.type.includes('object'));
export const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const asRecord = (value: unknown): Schema => (isSchema(value) ? value : {});
const asArray = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? (value as unknown[]) : [];
