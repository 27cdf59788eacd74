/** Real ajv; nothing stands in. The catalogue of what a sender can be told: place, fault and mend of each rule. */
import { checkSchema } from './check-schema.js';
import type { JsonSchema } from './json-schema.js';

const schema = {
  type: 'object',
  properties: {
    question: { type: 'string', minLength: 1, maxLength: 10 },
    code: { type: 'string', minLength: 3, pattern: '^[A-Z]+$' },
    lots: {
      type: 'array',
      items: { type: 'integer', minimum: 1 },
      minItems: 1,
      maxItems: 2,
      uniqueItems: true,
    },
    share: { type: 'number', exclusiveMaximum: 1 },
    mode: { enum: ['fast', 'slow'] },
    version: { const: 1 },
    reference: { type: ['string', 'null'] },
    either: {
      anyOf: [
        { type: 'object', required: ['a'], properties: { a: { type: 'string' } } },
        { type: 'null' },
      ],
    },
    'odd/na~me': { type: 'boolean' },
    nested: { type: 'object', properties: {}, additionalProperties: false },
  },
  required: ['question'],
  additionalProperties: false,
} as const satisfies JsonSchema;

describe('checking a value against a schema', () => {
  it('says nothing about a value that fits', () => {
    expect(checkSchema(schema, { question: 'Why?', reference: null, either: null })).toEqual([]);
  });

  it.each<
    [value: Record<string, unknown>, pointer: string, rule: string, message: string, mend: string]
  >([
    [{}, '/question', 'required', 'is missing', 'Add this field.'],
    [
      { quesion: 1 },
      '/quesion',
      'additionalProperties',
      'is not a known field',
      'Remove it, or correct its spelling.',
    ],
    [
      { nested: { 'a/b': 1 } },
      '/nested/a~1b',
      'additionalProperties',
      'is not a known field',
      'Remove it, or correct its spelling.',
    ],
    [{ question: 7 }, '/question', 'type', 'is not a text', 'Give a text.'],
    [{ question: null }, '/question', 'type', 'is not a text', 'Give a text.'],
    [{ reference: 7 }, '/reference', 'type', 'is not a text or null', 'Give a text or null.'],
    [{ lots: 'x' }, '/lots', 'type', 'is not a list', 'Give a list.'],
    [{ lots: [1.5] }, '/lots/0', 'type', 'is not a whole number', 'Give a whole number.'],
    [{ 'odd/na~me': 'x' }, '/odd~1na~0me', 'type', 'is not true or false', 'Give true or false.'],
    [{ nested: [] }, '/nested', 'type', 'is not an object', 'Give an object.'],
    [{ question: '' }, '/question', 'minLength', 'is empty', 'Give it a text.'],
    [
      { code: 'AB' },
      '/code',
      'minLength',
      'is shorter than 3 characters',
      'Use 3 characters or more.',
    ],
    [
      { question: 'x'.repeat(11) },
      '/question',
      'maxLength',
      'is longer than 10 characters',
      'Shorten it to 10 characters or fewer.',
    ],
    [
      { code: 'abc' },
      '/code',
      'pattern',
      'does not have the expected form',
      'Make it match ^[A-Z]+$.',
    ],
    [{ lots: [] }, '/lots', 'minItems', 'has fewer than 1 entries', 'Give 1 entries or more.'],
    [
      { lots: [1, 2, 3] },
      '/lots',
      'maxItems',
      'has more than 2 entries',
      'Give 2 entries or fewer.',
    ],
    [
      { lots: [2, 2] },
      '/lots',
      'uniqueItems',
      'holds the same entry twice',
      'Remove the repetition.',
    ],
    [{ lots: [0] }, '/lots/0', 'minimum', 'must be >= 1', 'Use a number >= 1.'],
    [{ share: 1 }, '/share', 'exclusiveMaximum', 'must be < 1', 'Use a number < 1.'],
    [{ mode: 'odd' }, '/mode', 'enum', 'is not one of the allowed values', 'Use "fast", "slow".'],
    [{ version: 2 }, '/version', 'const', 'is not one of the allowed values', 'Use 1.'],
    [
      { either: 'x' },
      '/either',
      'anyOf',
      'has none of the allowed forms',
      'Use one of the forms in the schema.',
    ],
  ])('%j', (value, pointer, rule, message, mend) => {
    const given =
      'question' in value || pointer === '/question' ? value : { question: 'Why?', ...value };
    expect(checkSchema(schema, given)).toEqual([{ pointer, rule, message, mend }]);
  });

  it('points to the whole with an empty pointer', () => {
    expect(checkSchema(schema, 'no object')).toMatchObject([
      { pointer: '', message: 'is not an object' },
    ]);
  });

  it('names all faults at once, in the same order every time', () => {
    const value = { question: '', lots: ['x', 0], surprise: true };
    const pointers = checkSchema(schema, value).map((problem) => problem.pointer);
    expect([...pointers].sort()).toEqual(['/lots/0', '/lots/1', '/question', '/surprise']);
    expect(checkSchema(schema, value).map((problem) => problem.pointer)).toEqual(pointers);
  });

  it('never repeats the value', () => {
    const problems = checkSchema(schema, {
      question: 'top-secret-question',
      mode: 'top-secret',
      code: 'top-secret',
    });
    expect(problems).toHaveLength(3);
    expect(JSON.stringify(problems)).not.toContain('secret');
  });

  it('stops at a hundred faults', () => {
    const open = { type: 'array', items: { type: 'null' } } as const;
    expect(checkSchema(open, Array<number>(10_000).fill(1))).toHaveLength(100);
  });

  it('compiles a schema once', () => {
    const counted = new Proxy({ type: 'string' } as const, {
      get(target, key, receiver): unknown {
        if (key === 'type') reads += 1;
        return Reflect.get(target, key, receiver);
      },
    });
    let reads = 0;
    checkSchema(counted, 'x');
    const afterFirst = reads;
    checkSchema(counted, 'y');
    expect(reads).toBe(afterFirst);
    expect(afterFirst).toBeGreaterThan(0);
  });

  it('is of dialect 2020-12', () => {
    const tuple = {
      type: 'array',
      prefixItems: [{ type: 'string' }],
      items: false,
      minItems: 1,
    } as const;
    expect(checkSchema(tuple, ['a'])).toEqual([]);
    expect(checkSchema(tuple, ['a', 'b'])).toHaveLength(1);
  });
});
