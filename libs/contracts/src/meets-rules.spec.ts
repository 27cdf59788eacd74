import {
  ArrayMaxSize,
  getMetadataStorage,
  IsArray,
  IsInt,
  IsOptional,
  IsString,
  ValidateNested,
  validateSync,
} from 'class-validator';
import fc from 'fast-check';
import * as http from './http/index.js';
import { meetsRules } from './meets-rules.js';
import * as commands from './messages/run-commands.js';
import * as decisions from './messages/run-decisions.js';
import * as events from './messages/run-events.js';
import * as requested from './messages/run-requested.js';

type Contract = new () => object;

const fieldsOf = (type: Contract): readonly string[] => [
  ...new Set(
    getMetadataStorage()
      .getTargetValidationMetadatas(type, '', false, false)
      .map(({ propertyName }) => propertyName),
  ),
];
const contracts = [http, commands, decisions, events, requested]
  .flatMap((module) => Object.values<unknown>(module))
  .filter(
    (each): each is Contract => typeof each === 'function' && fieldsOf(each as Contract).length > 0,
  );

const plainValue = fc.oneof(
  fc.constantFrom<unknown>(
    undefined,
    null,
    '',
    'x',
    0,
    1,
    -1,
    1.5,
    true,
    [],
    ['a'],
    ['a', 'a'],
    [1],
    {},
  ),
  fc.constantFrom<unknown>(
    { k: 'v' },
    { k: 1 },
    'interactive',
    'batch',
    'failed',
    'billing',
    'default',
  ),
  fc.constantFrom<unknown>(
    '2026-01-01T00:00:00Z',
    '2026-01-01T00:00:00.123Z',
    'PT2H',
    '2.50',
    new Date(0),
  ),
  fc.constantFrom<unknown>('run_01a20b5f-dc62-773a-a8a3-4675676e24ec', 'cnt_x', 'a'.repeat(300)),
);
const instanceWith = (type: Contract, value: fc.Arbitrary<unknown>): fc.Arbitrary<object> =>
  fc
    .record(Object.fromEntries(fieldsOf(type).map((field) => [field, value])))
    .map((fields) => Object.assign(new type(), fields));
const anyPart = fc.oneof(...contracts.map((type) => instanceWith(type, plainValue)));
const anyValue = fc.oneof({ weight: 5, arbitrary: plainValue }, { weight: 1, arbitrary: anyPart });

it('finds every contract', () => expect(contracts.length).toBeGreaterThan(25));

it.each(contracts.map((type) => [type.name, type] as const))(
  'says of a %s what class-validator says',
  (_, type) => {
    fc.assert(
      fc.property(instanceWith(type, anyValue), (instance) => {
        expect(meetsRules(instance)).toBe(validateSync(instance).length === 0);
      }),
    );
  },
);

/** Few fields, so that many of its instances meet all rules. */
class Part {
  @IsInt() count: unknown = 0;
}
class Sample {
  @IsOptional() @IsArray() @ArrayMaxSize(2) @IsString({ each: true }) names: unknown;
  @ValidateNested() part: unknown = new Part();
  @IsOptional() @IsArray() @ValidateNested({ each: true }) parts: unknown;
}

it('says of a small class what class-validator says, and often yes', () => {
  const names = fc.option(fc.array(fc.constantFrom<unknown>('a', 'b', 1)));
  const count = fc.constantFrom<unknown>(1, 2, 'x');
  const parts = fc.option(
    fc.array(
      fc.oneof(
        count.map((each) => Object.assign(new Part(), { count: each })),
        fc.constantFrom<unknown>(null, 'no part', {}),
      ),
      { maxLength: 2 },
    ),
  );
  let met = 0;
  fc.assert(
    fc.property(names, count, parts, (someNames, someCount, someParts) => {
      const part = Object.assign(new Part(), { count: someCount });
      const sample = Object.assign(new Sample(), { names: someNames, part, parts: someParts });
      expect(meetsRules(sample)).toBe(validateSync(sample).length === 0);
      met += meetsRules(sample) ? 1 : 0;
    }),
    { numRuns: 2_000 },
  );
  expect(met).toBeGreaterThan(50);
});

it('says yes to what meets all rules, no to what breaks one, in a part too', () => {
  const failure = Object.assign(new events.FailurePart(), {
    ...{ class: 'policy', code: 'c', message: 'm', fingerprint: 'f' },
  });
  expect(validateSync(failure)).toEqual([]);
  expect(meetsRules(failure)).toBe(true);
  expect(meetsRules(Object.assign(failure, { class: 'no such class' }))).toBe(false);
});

it('knows nothing of a class without rules: class-validator refuses it', () => {
  class Plain {
    name = 'x';
  }
  expect(meetsRules(new Plain())).toBe(false);
});
