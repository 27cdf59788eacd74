/**
 * JSON Schema (2020-12) of a contract class, read off the rules that its decorators registered with class-validator: the schema says
 * what the parser holds, and cannot drift from it. A rule that this file does not know throws: a schema that left it out would be a lie.
 *
 * Two places say more than the parser asks: instants are `date-time` (the parser takes any ISO 8601; Holdfast publishes RFC 3339),
 * and `null` stands where the parser lets a field be left out.
 */
import { plainToInstance } from 'class-transformer';
import { getMetadataStorage } from 'class-validator';
import { fieldMeanings } from './field-meanings.js';

export type JsonSchema = Readonly<Record<string, unknown>>;
export type ContractClass = new () => object;

/** What the class says of one field, rule by rule. */
type Rule = ReturnType<
  ReturnType<typeof getMetadataStorage>['getTargetValidationMetadatas']
>[number];

export interface SchemaOptions {
  /** Where the schemas of parts lie: `#/$defs/` or `#/components/schemas/`. */
  readonly refPrefix: string;
  /** Schemas for rules that are functions of our own, by the rule's name. */
  readonly ownRules?: Readonly<Record<string, JsonSchema>>;
}

/** The schemas of these classes and of all parts that they are made of, by class name. */
export function schemasOf(
  types: readonly ContractClass[],
  options: SchemaOptions,
): Readonly<Record<string, JsonSchema>> {
  const schemas: Record<string, JsonSchema> = {};
  const open = [...types];
  for (let type = open.shift(); type; type = open.shift()) {
    if (type.name in schemas) continue;
    const { schema, parts } = schemaOf(type, options);
    schemas[type.name] = schema;
    open.push(...parts);
  }
  return schemas;
}

function schemaOf(type: ContractClass, options: SchemaOptions) {
  const parts: ContractClass[] = [];
  const properties: Record<string, JsonSchema> = {};
  const required: string[] = [];
  for (const [field, rules] of fieldsOf(type)) {
    const isOptional = rules.some(isOptionalRule);
    if (!isOptional) required.push(field);
    const nested = rules.some(isNestedRule) ? partOf(type, field) : undefined;
    if (nested) parts.push(nested);
    const part = nested && { $ref: options.refPrefix + nested.name };
    const own = part
      ? rules.some(isListRule)
        ? { type: 'array', items: part }
        : part
      : valueSchemaOf(type, rules, options);
    const meaning = fieldMeanings[field];
    properties[field] = {
      ...(meaning !== undefined && { description: meaning }),
      ...(isOptional ? orNull(own) : own),
    };
  }
  const schema: JsonSchema = { type: 'object', properties, required };
  return { schema, parts };
}

/** Fields in the order of the classes, those of the base class first. */
function fieldsOf(type: ContractClass): ReadonlyMap<string, readonly Rule[]> {
  const rules = getMetadataStorage().getTargetValidationMetadatas(type, '', false, false);
  const [inherited, own] = [
    rules.filter(({ target }) => target !== type),
    rules.filter(({ target }) => target === type),
  ];
  return Map.groupBy([...inherited, ...own], ({ propertyName }) => propertyName);
}

function isListRule({ name }: Rule): boolean {
  return name === 'isArray';
}

function isOptionalRule({ type, name }: Rule): boolean {
  return type === 'conditionalValidation' && name === 'isOptional';
}

function isNestedRule({ type }: Rule): boolean {
  return type === 'nestedValidation';
}

/** The class that the parser makes of this field: asked of the parser itself, for a type `Part | null` leaves no metadata. */
function partOf(type: ContractClass, field: string): ContractClass {
  const probe = plainToInstance(type, { [field]: {} }) as Record<string, object>;
  const part = probe[field]?.constructor as ContractClass | undefined;
  if (part === undefined || part === Object) {
    throw new SchemaRuleUnknownError(type.name, field, 'ValidateNested without @Type of one class');
  }
  return part;
}

function valueSchemaOf(
  type: ContractClass,
  rules: readonly Rule[],
  { ownRules = {} }: SchemaOptions,
): JsonSchema {
  const schemaOfRule = (rule: Rule): JsonSchema => {
    const schema = ruleSchema(rule) ?? ownRules[rule.name ?? ''];
    if (schema) return schema;
    throw new SchemaRuleUnknownError(type.name, rule.propertyName, rule.name ?? rule.type);
  };
  const value = rules.filter((rule) => !isOptionalRule(rule));
  const ofEntries = value.filter(({ each }) => each).map(schemaOfRule);
  const ofValue = value.filter(({ each }) => !each).map(schemaOfRule);
  const items: JsonSchema[] =
    ofEntries.length > 0 ? [{ items: merged(type, value, ofEntries) }] : [];
  return merged(type, value, [...ofValue, ...items]);
}

/** One schema per rule of class-validator; undefined: not one that is known here. */
function ruleSchema({ name, constraints }: Rule): JsonSchema | undefined {
  const [first] = (constraints ?? []) as unknown[];
  switch (name) {
    case 'isString':
      return { type: 'string' };
    case 'isNotEmpty':
      return { minLength: 1 };
    case 'isInt':
      return { type: 'integer' };
    case 'min':
      return { minimum: first };
    case 'isBoolean':
      return { type: 'boolean' };
    case 'isObject':
      return { type: 'object' };
    case 'isArray':
      return { type: 'array' };
    case 'arrayMaxSize':
      return { maxItems: first };
    case 'arrayUnique':
      return { uniqueItems: true };
    case 'isIn':
      return { type: 'string', enum: first };
    case 'isIso8601':
      return { type: 'string', format: 'date-time' };
    case 'matches':
      return first instanceof RegExp && /^u?$/.test(first.flags)
        ? { type: 'string', pattern: first.source }
        : undefined;
    default:
      return undefined;
  }
}

/** Rules narrow each other; two that set the same keyword differently would need a judge. */
function merged(
  type: ContractClass,
  rules: readonly Rule[],
  schemas: readonly JsonSchema[],
): JsonSchema {
  const all: Record<string, unknown> = {};
  for (const [keyword, value] of schemas.flatMap((schema) => Object.entries(schema))) {
    if (keyword in all && all[keyword] !== value) {
      throw new SchemaRuleUnknownError(
        type.name,
        rules[0]?.propertyName ?? '',
        `two of ${keyword}`,
      );
    }
    all[keyword] = value;
  }
  const { type: kind, ...rest } = all; // the type reads best in front
  if (kind === undefined) {
    throw new SchemaRuleUnknownError(type.name, rules[0]?.propertyName ?? '', 'a rule of no type');
  }
  return { type: kind, ...rest };
}

export function orNull(schema: JsonSchema): JsonSchema {
  return { anyOf: [schema, { type: 'null' }] };
}

/** A contract class uses a rule that has no JSON Schema here: add it to `ruleSchema`, or to the caller's `ownRules`. */
export class SchemaRuleUnknownError extends Error {
  override readonly name = 'SchemaRuleUnknownError';
  readonly code = 'schema_rule_unknown';
  constructor(type: string, field: string, rule: string) {
    super(`${type}.${field}: no JSON Schema is known for the rule ${rule}`);
  }
}
