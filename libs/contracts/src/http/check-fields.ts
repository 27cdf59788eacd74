import 'reflect-metadata';
import { getMetadataStorage, validateSync, type ValidationError } from 'class-validator';
import { meetsRules } from '../meets-rules.js';
import type { ProblemField } from './problems.js';

/** A field as a contract class sees it: where, what is wrong, what to write instead. */
export type WrongField = Required<Pick<ProblemField, 'pointer' | 'message' | 'mend'>>;

export type CheckedFields<T> =
  | { readonly kind: 'valid'; readonly value: T }
  | { readonly kind: 'invalid'; readonly wrong: readonly WrongField[] };

/** What a contract class hands to each of its rules as `context`. */
export interface RuleContext {
  readonly mend: string;
  /** For rules over a list or a map: pointers, relative to the field, of the entries that break the rule. */
  readonly where?: (value: unknown) => readonly string[];
}

/** Message, mend and place of a rule, in the form class-validator's decorators take. */
export function rule(message: string, mend: string, where?: RuleContext['where']) {
  const context: RuleContext = where ? { mend, where } : { mend };
  return { message, context };
}

/**
 * Checks a JSON value against a contract class: unknown fields are refused, each wrong field is named once.
 * Only fields that the class knows reach the instance, so nothing in a body can replace `constructor` and with it the rules.
 */
export function checkFields<T extends object>(type: new () => T, value: unknown): CheckedFields<T> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const wrong = { pointer: '', message: 'must be a JSON object', mend: 'Send a JSON object.' };
    return { kind: 'invalid', wrong: [wrong] };
  }

  const known = knownFieldsOf(type);
  const instance = new type();
  const wrong: WrongField[] = [];
  for (const [name, field] of Object.entries(value)) {
    if (known.has(name)) Object.assign(instance, { [name]: field as unknown });
    else wrong.push(unknownField(name, known));
  }
  if (!meetsRules(instance))
    wrong.push(...validateSync(instance, { forbidUnknownValues: true }).flatMap(wrongFieldsOf));
  return wrong.length === 0 ? { kind: 'valid', value: instance } : { kind: 'invalid', wrong };
}

/** One segment of a JSON Pointer, escaped. */
export function pointerTo(...segments: readonly (string | number)[]): string {
  const escape = (segment: string | number) =>
    String(segment).replaceAll('~', '~0').replaceAll('/', '~1');
  return segments.map((segment) => `/${escape(segment)}`).join('');
}

function knownFieldsOf(type: new () => object): ReadonlySet<string> {
  const known = fieldsOfClass.get(type);
  if (known) return known;
  const rules = getMetadataStorage().getTargetValidationMetadatas(type, '', false, false);
  const fields = new Set(rules.map((each) => each.propertyName));
  fieldsOfClass.set(type, fields);
  return fields;
}

const fieldsOfClass = new Map<unknown, ReadonlySet<string>>();

function unknownField(name: string, known: ReadonlySet<string>): WrongField {
  return {
    pointer: pointerTo(name),
    message: 'is not a known field',
    mend: `Remove it. Known fields: ${[...known].join(', ')}.`,
  };
}

/** The first broken rule of a field says it all: the others only repeat it in other words. */
function wrongFieldsOf(error: ValidationError): WrongField[] {
  const field = pointerTo(error.property);
  const [first] = Object.entries(error.constraints ?? {});
  if (!first) return [];
  const [name, message] = first;
  const context = error.contexts?.[name] as RuleContext | undefined;
  const mend = context?.mend ?? 'See the API description.';
  const places = context?.where?.(error.value) ?? [''];
  return places.map((place) => ({ pointer: field + place, message, mend }));
}
