/** Pure; nothing stands in. */
import { strictSchemaProblems } from './strict-schema.js';
import type { JsonSchema } from './json-schema.js';

const object = (properties: JsonSchema, required = Object.keys(properties)): JsonSchema => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
});

describe('strictness of a schema', () => {
  it('accepts nested objects, lists, nulls, options and definitions that are strict all through', () => {
    const schema = {
      ...object({
        rows: { type: 'array', items: object({ id: { type: ['string', 'null'] } }) },
        either: { anyOf: [object({ a: { enum: [1, 2] } }), { type: 'null' }] },
        link: { $ref: '#/$defs/place' },
      }),
      $defs: { place: object({ number: { type: 'string' } }) },
    };
    expect(strictSchemaProblems(schema)).toEqual([]);
  });

  it.each<[string, JsonSchema, string]>([
    [
      'a root that is no object',
      { type: 'array', items: { type: 'string' } },
      '#: make the root an object',
    ],
    [
      'an open object',
      { type: 'object', properties: {}, required: [] },
      '#: set "additionalProperties": false',
    ],
    ['an optional key', object({ a: { type: 'string' } }, []), '#: list "a" in "required"'],
    [
      'an open object in a list',
      object({ a: { type: 'array', items: { type: 'object' } } }),
      '#/properties/a/items: set',
    ],
    [
      'an open object among options',
      object({ a: { anyOf: [{ type: ['object', 'null'] }] } }),
      '#/properties/a/anyOf/0: set',
    ],
    [
      'an open object in a definition',
      { ...object({}), $defs: { b: { type: 'object' } } },
      '#/$defs/b: set',
    ],
    [
      'a keyword that cannot be enforced',
      object({ a: { type: 'string', not: {} } }),
      '#/properties/a: do without "not"',
    ],
    ['a value without a type', object({ a: {} }), '#/properties/a: say which "type"'],
    [
      'something that is no schema',
      object({ a: 'string' }),
      '#/properties/a: write a schema object',
    ],
  ])('finds %s', (_what, schema, problem) => {
    expect(strictSchemaProblems(schema).join('\n')).toContain(problem);
  });

  it('finds nesting that is too deep', () => {
    const deep = Array.from({ length: 11 }).reduce<JsonSchema>(
      (inner) => object({ inner }),
      object({}),
    );
    expect(strictSchemaProblems(deep).join()).toContain('nest no deeper than 10');
  });
});
