import { MAX_LABELS, USD } from '#libs/contracts';
import type { JsonSchema } from './class-schema.js';

/** Rules of the request classes that are functions: what they hold, said in JSON Schema. */
export const ownRules: Readonly<Record<string, JsonSchema>> = {
  budget: {
    type: 'object',
    properties: { maxCostUsd: { type: 'string', pattern: USD.source } },
    required: ['maxCostUsd'],
    additionalProperties: false,
  },
  labels: {
    type: 'object',
    maxProperties: MAX_LABELS,
    propertyNames: { pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$' },
    additionalProperties: { type: 'string', maxLength: 255, pattern: '^[^\\p{Cc}\\p{Cs}]*$' },
  },
};
