/**
 * Makes a value that fits a strict JSON schema, from what the prompt holds: where the schema asks for a list of things with
 * a quote, the list is the document's own shall/must/should sentences; everything else gets a small plausible value.
 * The same prompt and schema always give the same value.
 */
import { createHash } from 'node:crypto';
import type { Schema } from './check-schema.js';
import { isSchema } from './check-schema.js';
import type { RequirementSentence } from './requirement-sentences.js';
import { documentText, findRequirementSentences } from './requirement-sentences.js';

/** One quote in so many does not stand in the document, as models do it: whoever trusts quotes must be seen to check. */
const misquoteOneIn = 40;

export function fillSchema(schema: Schema, prompt: string): unknown {
  const text = documentText(prompt);
  const sentences = text === null ? [] : findRequirementSentences(text);
  return fill(schema, { root: schema, sentences, sentence: null, name: '', seed: hash(prompt) });
}

interface Filling {
  readonly root: Schema;
  readonly sentences: readonly RequirementSentence[];
  /** Set inside a list item that stands for one sentence. */
  readonly sentence: RequirementSentence | null;
  /** Of the property to be filled. */
  readonly name: string;
  readonly seed: number;
}

function fill(given: Schema, filling: Filling): unknown {
  const schema = resolve(given, filling.root);
  if ('const' in schema) return schema.const;
  if (Array.isArray(schema.enum)) return pickFrom(schema.enum as unknown[], filling);
  if (Array.isArray(schema.anyOf)) return fill(firstReal(schema.anyOf as Schema[]), filling);
  const types = Array.isArray(schema.type) ? (schema.type as unknown[]) : [schema.type];
  const type = types.find((candidate) => candidate !== 'null') ?? 'null';
  if (type === 'object') return fillObject(schema, filling);
  if (type === 'array') return fillArray(schema, filling);
  if (type === 'string') return fillString(schema, filling);
  if (type === 'number' || type === 'integer')
    return fillNumber(schema, type === 'integer', filling);
  return type === 'boolean' ? filling.seed % 2 === 0 : null;
}

function fillObject(schema: Schema, filling: Filling): Record<string, unknown> {
  const properties = isSchema(schema.properties) ? schema.properties : {};
  return Object.fromEntries(
    Object.entries(properties).map(([name, property]) => [
      name,
      fill(property as Schema, { ...filling, name, seed: hash(`${filling.seed}:${name}`) }),
    ]),
  );
}

function fillArray(schema: Schema, filling: Filling): unknown[] {
  const items = resolve(isSchema(schema.items) ? schema.items : {}, filling.root);
  const max = typeof schema.maxItems === 'number' ? schema.maxItems : Infinity;
  const min = typeof schema.minItems === 'number' ? schema.minItems : 0;
  const quoted =
    filling.sentence === null && isSchema(items.properties) && 'quote' in items.properties;
  if (quoted && filling.sentences.length >= min)
    return filling.sentences
      .slice(0, max)
      .map((sentence) => fill(items, { ...filling, sentence, seed: hash(sentence.quote) }));
  return Array.from({ length: min }, (_, index) =>
    fill(items, { ...filling, seed: hash(`${filling.seed}:${index}`) }),
  );
}

function fillString(schema: Schema, { name, sentence, seed }: Filling): string {
  if (schema.format === 'date') return '2026-01-15';
  if (schema.format === 'date-time') return '2026-01-15T00:00:00Z';
  const text = sentence === null ? `Simulated ${name || 'value'}` : wordsFor(name, sentence, seed);
  const max = typeof schema.maxLength === 'number' ? schema.maxLength : text.length;
  return text.slice(0, max);
}

function wordsFor(name: string, sentence: RequirementSentence, seed: number): string {
  if (name === 'obligation') return sentence.obligation;
  if (name === 'confidence') return ['high', 'high', 'high', 'medium', 'low'][seed % 5] ?? 'high';
  if (name !== 'quote') return sentence.quote;
  return hash(sentence.quote) % misquoteOneIn === 0
    ? misquote(sentence.quote, seed)
    : sentence.quote;
}

/** Drops one word from the middle: the usual slip, and never visible at a glance. */
function misquote(quote: string, seed: number): string {
  const words = quote.split(' ');
  words.splice(1 + (seed % Math.max(1, words.length - 2)), 1);
  return words.join(' ');
}

function fillNumber(schema: Schema, whole: boolean, { name, seed }: Filling): number {
  const min = typeof schema.minimum === 'number' ? schema.minimum : 0;
  const max = typeof schema.maximum === 'number' ? schema.maximum : whole ? min + 10 : min + 1;
  const share = /confidence|score|probability/i.test(name)
    ? 0.7 + (seed % 30) / 100
    : (seed % 100) / 100;
  const value = min + (max - min) * share;
  return whole ? Math.floor(value) : Math.round(value * 100) / 100;
}

function pickFrom(values: readonly unknown[], { name, sentence, seed }: Filling): unknown {
  const wanted =
    sentence === null
      ? null
      : name === 'category'
        ? categoryOf(sentence.quote, values)
        : wordsFor(name, sentence, seed);
  if (values.includes(wanted)) return wanted;
  const real = values.filter((value) => value !== null);
  return real[seed % Math.max(1, real.length)] ?? null;
}

/** The categories of `tender-compliance`, by their tell-tale words; the first that fits. */
const categories: readonly (readonly [string, RegExp])[] = [
  [
    'security',
    /secur|encrypt|access control|confidential|breach|password|authenticat|priva|hipaa/i,
  ],
  ['commercial', /pric|\bcosts?\b|invoice|payment|\bfees?\b|budget|\brates?\b/i],
  ['legal', /liab|indemn|insur|\blaws?\b|statut|regulation|licen[sc]e|terminat|intellectual/i],
  ['submission', /proposal|offeror|bidder|respondent|quotation|submit|submission|\bbids?\b/i],
  ['support', /support|maint(ain|enance)|service level|availab|help ?desk|train/i],
  ['staffing', /staff|personnel|key person|subcontract|experience|qualif|employee/i],
  ['delivery', /deliver|schedule|milestone|accept|report|document|\bplan\b|within \d+/i],
  ['technical', /system|software|data|interface|\bapi\b|browser|server|perform/i],
];

const categoryOf = (sentence: string, allowed: readonly unknown[]): string =>
  categories.find(([name, words]) => allowed.includes(name) && words.test(sentence))?.[0] ??
  'other';

function resolve(schema: Schema, root: Schema): Schema {
  if (typeof schema.$ref !== 'string') return schema;
  if (schema.$ref === '#') return root;
  const found = schema.$ref
    .replace(/^#\//, '')
    .split('/')
    .reduce<unknown>((at, key) => (isSchema(at) ? at[key] : undefined), root);
  return isSchema(found) ? resolve(found, root) : {};
}

const firstReal = (schemas: readonly Schema[]): Schema =>
  schemas.find((schema) => schema.type !== 'null') ?? schemas[0] ?? {};

export const hash = (text: string): number =>
  createHash('sha256').update(text).digest().readUInt32BE(0);
