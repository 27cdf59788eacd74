import 'reflect-metadata';
import { plainToInstance, type ClassConstructor } from 'class-transformer';
import { getMetadataStorage, validateSync, type ValidationError } from 'class-validator';
import { meetsRules } from '../meets-rules.js';
import { RUN_REQUESTED, RunRequested } from './run-requested.js';
import { decisionCommandClassOf, decisionNameOf, type DecisionCommand } from './run-decisions.js';
import { runEventClassOf, runEventNameOf, type RunEvent } from './run-events.js';
import { RUN_SPEND_SETTLED, RunSpendSettled } from './spend-settled.js';

/** What a message's data turned out to be. Unknown fields are ignored; unknown types are told apart from broken ones. */
export type Parsed<T> =
  | { readonly kind: 'parsed'; readonly value: T }
  | { readonly kind: 'unknown_type'; readonly type: string }
  | { readonly kind: 'invalid'; readonly problems: readonly FieldProblem[] };

export interface FieldProblem {
  /** JSON Pointer (RFC 6901) to the field. */
  readonly pointer: string;
  readonly message: string;
}

interface TypedData {
  readonly type: string;
  readonly data: unknown;
}

export function parseRunRequested(message: TypedData): Parsed<RunRequested> {
  if (message.type !== RUN_REQUESTED) return { kind: 'unknown_type', type: message.type };
  return parseAs(RunRequested, message.data);
}

export function parseDecisionCommand(message: TypedData): Parsed<DecisionCommand> {
  const decision = decisionNameOf(message.type);
  if (!decision) return { kind: 'unknown_type', type: message.type };
  const parsed = parseAs(
    decisionCommandClassOf(decision) as ClassConstructor<object>,
    message.data,
  );
  if (parsed.kind !== 'parsed') return parsed;
  // The class was chosen by the decision: the pair is one member of the union.
  return { kind: 'parsed', value: { decision, data: parsed.value } as DecisionCommand };
}

export function parseRunEvent(message: TypedData): Parsed<RunEvent> {
  const name = runEventNameOf(message.type);
  if (!name) return { kind: 'unknown_type', type: message.type };
  const parsed = parseAs(runEventClassOf(name) as ClassConstructor<object>, message.data);
  if (parsed.kind !== 'parsed') return parsed;
  // The class was chosen by the name: the pair is one member of the union.
  return { kind: 'parsed', value: { name, data: parsed.value } as RunEvent };
}

export function parseSpendSettled(message: TypedData): Parsed<RunSpendSettled> {
  if (message.type !== RUN_SPEND_SETTLED) return { kind: 'unknown_type', type: message.type };
  return parseAs(RunSpendSettled, message.data);
}

function parseAs<T extends object>(type: ClassConstructor<T>, data: unknown): Parsed<T> {
  if (!isJsonObject(data)) {
    return { kind: 'invalid', problems: [{ pointer: '', message: 'must be a JSON object' }] };
  }
  const value = instanceOf(type, data);
  if (meetsRules(value)) return { kind: 'parsed', value };
  const errors = validateSync(value, { forbidUnknownValues: true });
  if (errors.length === 0) return { kind: 'parsed', value };
  return { kind: 'invalid', problems: errors.flatMap((error) => fieldProblems(error, '')) };
}

/**
 * An instance with the data's fields, and instances for those that are parts of it. All else stays as it came: class-transformer
 * would walk into labels and results, and takes a field called `constructor` for the class to make.
 */
function instanceOf<T extends object>(type: ClassConstructor<T>, data: object): T {
  const parts = partsOf(type);
  const instance = new type();
  for (const [name, field] of Object.entries<unknown>({ ...data })) {
    if (name in Object.prototype) continue; // it would stand in for what the rules are found by
    const part = parts.get(name);
    Reflect.set(instance, name, part ? partOf(part, field) : field);
  }
  return instance;
}

/** class-validator would take any list for a part. */
function partOf({ type, isList }: Part, field: unknown): unknown {
  if (!Array.isArray(field)) return isJsonObject(field) ? instanceOf(type, field) : field;
  if (!isList) return 'a list';
  return field.map((each: unknown) => (isJsonObject(each) ? instanceOf(type, each) : 'no part'));
}

interface Part {
  readonly type: ClassConstructor<object>;
  /** The field holds a list of them. */
  readonly isList: boolean;
}

const partsOfType = new Map<unknown, ReadonlyMap<string, Part>>();

/** Fields that hold a part, with its class: class-transformer alone knows it. */
function partsOf(type: ClassConstructor<object>): ReadonlyMap<string, Part> {
  const known = partsOfType.get(type);
  if (known) return known;
  const rules = getMetadataStorage().getTargetValidationMetadatas(type, '', false, false);
  const nested = rules.filter((each) => each.type === 'nestedValidation');
  const lists = rules.filter((each) => each.name === 'isArray');
  const parts = new Map(
    nested.map(({ propertyName }): [string, Part] => {
      const isList = lists.some((each) => each.propertyName === propertyName);
      const probe = plainToInstance(type, { [propertyName]: {} }) as Record<string, object>;
      const part = probe[propertyName]?.constructor as ClassConstructor<object>;
      return [propertyName, { type: part, isList }];
    }),
  );
  partsOfType.set(type, parts);
  return parts;
}

function isJsonObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** class-validator's error tree as a flat list of JSON Pointers. */
export function fieldProblems(error: ValidationError, parent: string): FieldProblem[] {
  const pointer = `${parent}/${error.property.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  const own = Object.values(error.constraints ?? {}).map((message) => ({ pointer, message }));
  return [...own, ...(error.children ?? []).flatMap((child) => fieldProblems(child, pointer))];
}
