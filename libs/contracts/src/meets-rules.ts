/**
 * Whether an instance meets every rule of its class: class-validator's own rules, looked up once per class. `validateSync` looks
 * them up for each instance and field anew, which was a seventh of what an api does. It only says yes or no; what breaks which
 * rule, and in what words, `validateSync` knows.
 */
import 'reflect-metadata';
import { getMetadataStorage, ValidationTypes, type ValidationArguments } from 'class-validator';
import type { ValidationMetadata } from 'class-validator/types/metadata/ValidationMetadata.js';

type Test = (value: unknown, owner: object) => boolean;

interface FieldRules {
  readonly name: string;
  /** The other rules hold only where all of these say so: `@IsOptional`. */
  readonly conditions: readonly Test[];
  readonly tests: readonly Test[];
}

/** Null: a class with rules of a kind that is not known here. */
type ClassRules = readonly FieldRules[] | null;

const rulesOfClass = new Map<unknown, ClassRules>();

/** False: ask `validateSync`, which may still find nothing wrong. */
export function meetsRules(instance: object): boolean {
  const rules = rulesOf(instance.constructor);
  return rules?.every((field) => fieldMeets(field, instance)) ?? false;
}

function fieldMeets({ name, conditions, tests }: FieldRules, owner: object): boolean {
  const value: unknown = Reflect.get(owner, name);
  if (!conditions.every((applies) => applies(value, owner))) return true;
  return tests.every((test) => test(value, owner));
}

function rulesOf(type: unknown): ClassRules {
  const known = rulesOfClass.get(type);
  if (known !== undefined) return known;
  const rules = readRules(type as new () => object);
  rulesOfClass.set(type, rules);
  return rules;
}

function readRules(type: new () => object): ClassRules {
  const all = getMetadataStorage().getTargetValidationMetadatas(type, '', false, false);
  const isKnown = ({ type: kind, validateIf }: ValidationMetadata) =>
    KNOWN_KINDS.includes(kind) && validateIf === undefined;
  if (all.length === 0 || !all.every(isKnown)) return null;
  const names = [...new Set(all.map(({ propertyName }) => propertyName))];
  return names.map((name) => {
    const own = all.filter(({ propertyName }) => propertyName === name);
    const isCondition = ({ type: kind }: ValidationMetadata) =>
      kind === ValidationTypes.CONDITIONAL_VALIDATION;
    return {
      name,
      conditions: own.filter(isCondition).map(conditionOf),
      tests: own.filter((each) => !isCondition(each)).flatMap(testsOf),
    };
  });
}

const KNOWN_KINDS: readonly string[] = [
  ValidationTypes.CUSTOM_VALIDATION,
  ValidationTypes.CONDITIONAL_VALIDATION,
  ValidationTypes.NESTED_VALIDATION,
];

function conditionOf({ constraints }: ValidationMetadata): Test {
  const [applies] = constraints as [(owner: object, value: unknown) => boolean];
  return (value, owner) => applies(owner, value);
}

function testsOf(rule: ValidationMetadata): Test[] {
  if (rule.type === ValidationTypes.NESTED_VALIDATION) return [partMeets];
  const { constraintCls, each, propertyName: property, constraints } = rule;
  return getMetadataStorage()
    .getTargetValidatorConstraints(constraintCls)
    .map(({ instance }) => {
      const test: Test = (value, object) => {
        const targetName = object.constructor.name;
        const said: ValidationArguments = { value, object, targetName, property, constraints };
        return instance.validate(value, said) === true;
      };
      if (!each) return test;
      return (value, owner) =>
        Array.isArray(value) ? value.every((one) => test(one, owner)) : test(value, owner);
    });
}

const partMeets: Test = (part) =>
  part === undefined || (Array.isArray(part) ? part.every(isPart) : isPart(part));

function isPart(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && meetsRules(value);
}
