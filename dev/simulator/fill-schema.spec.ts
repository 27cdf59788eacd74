import { Ajv2020 } from 'ajv/dist/2020.js';
import { fillSchema } from './fill-schema.js';
import { documentText, findRequirementSentences } from './requirement-sentences.js';

const section = (text: string) =>
  `<document_section number="3.1" title="Uptime > &quot;x&quot;">\n${text}\n</document_section>`;

const text = `## 3.1 Service levels

The Contractor shall keep the system
available 99.9% of the time. This is background. Reports
must be delivered within 5 days, e.g. by mail.

- The Offeror should describe its staff.
1. Vendors are required to encrypt all data at rest.

| Item | The bidder must state its price. | x |
`;

const extraction = {
  type: 'object',
  properties: {
    requirements: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          quote: { type: 'string' },
          requirement: { type: 'string' },
          obligation: { type: 'string', enum: ['shall', 'must', 'should'] },
          category: { type: 'string', enum: ['technical', 'security', 'staffing', 'other'] },
          confidence: { type: 'string', enum: ['low', 'medium', 'high'] },
        },
        required: ['quote', 'requirement', 'obligation', 'category', 'confidence'],
        additionalProperties: false,
      },
    },
  },
  required: ['requirements'],
  additionalProperties: false,
};
type Extraction = { requirements: { quote: string; obligation: string; category: string }[] };
const folded = (words: string) => words.replace(/\s+/g, ' ');

it('finds the sentences that bind somebody, and only those', () => {
  expect(findRequirementSentences(text)).toEqual([
    {
      quote: 'The Contractor shall keep the system available 99.9% of the time.',
      obligation: 'shall',
    },
    { quote: 'Reports must be delivered within 5 days, e.g. by mail.', obligation: 'must' },
    { quote: 'The Offeror should describe its staff.', obligation: 'should' },
    { quote: 'Vendors are required to encrypt all data at rest.', obligation: 'must' },
    { quote: 'The bidder must state its price.', obligation: 'must' },
  ]);
});

it('reads only what stands in the document section', () => {
  expect(documentText('You must obey. The answer shall be JSON.')).toBeNull();
  expect(documentText(`You must obey.\n${section('a')}`)?.trim()).toBe('a');
});

it('fills a list of quotes with real ones, and the rest in kind', () => {
  const { requirements } = fillSchema(extraction, section(text)) as Extraction;
  expect(requirements.map((one) => [one.obligation, one.category])).toEqual([
    ['shall', 'technical'],
    ['must', expect.any(String)],
    ['should', 'staffing'],
    ['must', 'security'],
    ['must', expect.any(String)],
  ]);
});

it('misquotes now and then, always in the same places', () => {
  const long = Array.from(
    { length: 2_000 },
    (_, index) => `The Contractor shall deliver item number ${index} to the office in time.`,
  ).join('\n\n');
  const fillOnce = () => (fillSchema(extraction, section(long)) as Extraction).requirements;
  const requirements = fillOnce();
  const source = folded(long);
  const wrong = requirements.filter(({ quote }) => !source.includes(quote));
  expect(wrong.length).toBeGreaterThan(20);
  expect(wrong.length).toBeLessThan(100);
  expect(fillOnce()).toEqual(requirements);
});

it.each<[string, Record<string, unknown>]>([
  ['the extraction', extraction],
  [
    'every type',
    {
      type: 'object',
      properties: {
        text: { type: 'string', maxLength: 5 },
        day: { type: 'string', format: 'date' },
        count: { type: 'integer', minimum: 3, maximum: 4 },
        share: { type: 'number', minimum: 0, maximum: 1 },
        yes: { type: 'boolean' },
        nothing: { type: 'null' },
        maybe: { type: ['string', 'null'] },
        either: { anyOf: [{ type: 'null' }, { $ref: '#/$defs/kind' }] },
        fixed: { const: 7 },
        some: { type: 'array', items: { $ref: '#/$defs/kind' }, minItems: 2, maxItems: 3 },
      },
      $defs: { kind: { type: 'string', enum: ['a', 'b'] } },
      required: [],
    },
  ],
])('gives a value that fits: %s', (_, schema) => {
  const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
  for (const prompt of ['', 'x', section(text), section('nothing here')]) {
    validate(fillSchema(schema, prompt));
    expect(validate.errors).toBeNull();
  }
});
