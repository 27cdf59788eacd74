import 'reflect-metadata';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayUnique,
  IsArray,
  IsIn,
  IsInt,
  IsISO8601,
  IsNotEmpty,
  IsNumber,
  IsObject,
  IsOptional,
  IsString,
  Matches,
  Min,
  ValidateBy,
  ValidateIf,
  ValidateNested,
} from 'class-validator';
import { schemasOf, SchemaRuleUnknownError, type ContractClass } from './class-schema.js';

class Part {
  @IsInt()
  @Min(1)
  size!: number;
}

class Base {
  @IsString()
  @IsNotEmpty()
  first!: string;
}

class Whole extends Base {
  @Matches(/^a+$/u)
  pattern!: string;

  @IsIn(['x', 'y'])
  choice!: string;

  @IsISO8601()
  instant!: string;

  @IsArray()
  @ArrayMaxSize(3)
  @ArrayUnique()
  @Matches(/^b$/, { each: true })
  list!: string[];

  @IsObject()
  map!: object;

  @ValidateNested()
  @Type(() => Part)
  part!: Part;

  @IsOptional()
  @ValidateNested()
  @Type(() => Part)
  maybe!: Part | null;
}

const of = (type: ContractClass) => schemasOf([type], { refPrefix: '#/$defs/' });

it('every known rule has its keyword; parts stand beside the whole', () => {
  expect(of(Whole)).toEqual({
    Whole: {
      type: 'object',
      properties: {
        first: { type: 'string', minLength: 1 },
        pattern: { type: 'string', pattern: '^a+$' },
        choice: { type: 'string', enum: ['x', 'y'] },
        instant: { type: 'string', format: 'date-time' },
        list: {
          type: 'array',
          maxItems: 3,
          uniqueItems: true,
          items: { type: 'string', pattern: '^b$' },
        },
        map: { type: 'object' },
        part: { $ref: '#/$defs/Part' },
        maybe: { anyOf: [{ $ref: '#/$defs/Part' }, { type: 'null' }] },
      },
      required: ['first', 'pattern', 'choice', 'instant', 'list', 'map', 'part'],
    },
    Part: {
      type: 'object',
      properties: { size: { type: 'integer', minimum: 1 } },
      required: ['size'],
    },
  });
});

describe('what has no schema is refused, not left out:', () => {
  const odd = (...rules: PropertyDecorator[]) => {
    class Odd {
      value: unknown;
    }
    rules.forEach((rule) => rule(Odd.prototype, 'value'));
    return Odd;
  };
  it.each<[string, ContractClass]>([
    ['a rule that the mapper does not know', odd(IsNumber())],
    ['a rule of our own', odd(ValidateBy({ name: 'even', validator: { validate: () => true } }))],
    [
      'a condition',
      odd(
        ValidateIf(() => true),
        IsString(),
      ),
    ],
    ['a pattern with a flag', odd(Matches(/a/i))],
    ['a part without a class', odd(ValidateNested())],
    ['rules without a type', odd(IsNotEmpty())],
    ['two rules at odds', odd(IsString(), IsInt())],
  ])('%s', (_, type) => {
    expect(() => of(type)).toThrow(SchemaRuleUnknownError);
  });

  it('a rule of our own has the schema that is given for it', () => {
    const type = odd(ValidateBy({ name: 'even', validator: { validate: () => true } }));
    const ownRules = { even: { type: 'integer', multipleOf: 2 } };
    expect(schemasOf([type], { refPrefix: '', ownRules })['Odd']).toMatchObject({
      properties: { value: ownRules.even },
    });
  });
});
