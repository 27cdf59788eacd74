/** Pure; nothing stands in. */
import { contract, ContractBrokenError } from './contract.js';

const point = contract({
  type: 'object',
  properties: {
    x: { type: 'number' },
    label: { type: ['string', 'null'] },
    axis: { enum: ['a', 'b'] },
  },
  required: ['x', 'label', 'axis'],
  additionalProperties: false,
});

describe('a contract', () => {
  it('makes text that meets it a value of its type', () => {
    const reading = point.parseText('{"x":1,"label":null,"axis":"b"}');
    if (reading.kind === 'broken') throw new Error('it should be read');
    const { x, label, axis }: { x: number; label: string | null; axis: 'a' | 'b' } = reading.value;
    expect([x, label, axis]).toEqual([1, null, 'b']);
  });

  it.each([
    ['text that is no JSON', 'Sorry, my secret is', ['/ is not JSON (19 characters)']],
    ['a wrong type', '{"x":"my secret","label":null,"axis":"a"}', ['/x is not a number']],
    [
      'an unknown field',
      '{"x":1,"label":null,"axis":"a","my secret":1}',
      ['/ holds a field that is not known'],
    ],
    ['a missing field', '{"x":1,"axis":"a"}', ['/label is missing']],
  ])('says where %s breaks it, and nothing of what it said', (_what, text, problems) => {
    expect(point.parseText(text)).toEqual({ kind: 'broken', problems });
  });

  it('throws on a value that was promised to meet it', () => {
    expect(() => point.require({})).toThrow(ContractBrokenError);
    expect(point.require({ x: 1, label: 'x', axis: 'a' })).toEqual({ x: 1, label: 'x', axis: 'a' });
  });
});
