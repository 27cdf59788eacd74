/** The compliance matrix, as the run's result carries it. */
import { contract } from '../contract.js';
import type { FromSchema } from '../schema/json-schema.js';
import { CATEGORIES, CONFIDENCES, OBLIGATIONS } from './requirement.js';

const count = { type: 'integer', minimum: 0 } as const;

const countsOf = <const Name extends string>(names: readonly Name[]) =>
  ({
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, count])) as Record<
      Name,
      typeof count
    >,
    required: names,
    additionalProperties: false,
  }) as const;

const place = {
  type: 'object',
  properties: {
    number: { type: ['string', 'null'] },
    title: { type: 'string' },
    path: { type: 'array', items: { type: 'string' } },
  },
  required: ['number', 'title', 'path'],
  additionalProperties: false,
} as const;

const requirement = {
  type: 'object',
  properties: {
    number: { type: 'string', description: 'R-001, R-002, … in the order of the source' },
    text: { type: 'string', description: 'The requirement restated in one sentence' },
    obligation: { enum: OBLIGATIONS },
    category: { enum: CATEGORIES },
    section: place,
    alsoIn: { type: 'array', items: place, description: 'Where else the document says the same' },
    quote: { type: 'string', description: 'What the model says the document says' },
    quoteVerified: {
      type: 'boolean',
      description: 'Whether the quote stands in the source, white space folded and nothing else',
    },
    sourceOffset: {
      type: ['integer', 'null'],
      description:
        'Where the quote starts in the document text, in UTF-16 code units; null if it does not stand there',
    },
    confidence: { enum: CONFIDENCES },
  },
  required: [
    'number',
    'text',
    'obligation',
    'category',
    'section',
    'alsoIn',
    'quote',
    'quoteVerified',
    'sourceOffset',
    'confidence',
  ],
  additionalProperties: false,
} as const;

const resultSchema = {
  type: 'object',
  properties: {
    document: {
      type: 'object',
      properties: {
        id: { type: 'string' },
        fileName: { type: ['string', 'null'] },
        sections: { ...count, description: 'Sections that were read, one model call each' },
        words: count,
      },
      required: ['id', 'fileName', 'sections', 'words'],
      additionalProperties: false,
    },
    requirements: { type: 'array', items: requirement },
    flagged: { ...count, description: 'Requirements whose quote does not stand in the source' },
    refusals: {
      type: 'array',
      description: 'Sections that the model refused to read: a person must',
      items: {
        type: 'object',
        properties: { section: place, message: { type: 'string' } },
        required: ['section', 'message'],
        additionalProperties: false,
      },
    },
    summary: {
      type: 'object',
      properties: {
        requirements: count,
        byObligation: countsOf(OBLIGATIONS),
        byCategory: countsOf(CATEGORIES),
        flagged: count,
        duplicatesMerged: count,
        sectionsRefused: count,
      },
      required: [
        'requirements',
        'byObligation',
        'byCategory',
        'flagged',
        'duplicatesMerged',
        'sectionsRefused',
      ],
      additionalProperties: false,
    },
  },
  required: ['document', 'requirements', 'flagged', 'refusals', 'summary'],
  additionalProperties: false,
} as const;

export type TenderComplianceResult = FromSchema<typeof resultSchema>;
export type MatrixRow = FromSchema<typeof requirement>;

export const tenderComplianceResult = contract(resultSchema);
