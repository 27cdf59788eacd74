/**
 * What OpenAI asks for text, as data: dollars per million tokens, from a day on. Read from
 * https://developers.openai.com/api/docs/pricing and https://openai.com/api-priority-processing/ (November 2026); a spec
 * compares it with what `@pydantic/genai-prices` says.
 *
 * A model is priced as its family: `gpt-5.2-2026-01-15` as `gpt-5.2`, unless it has a row of its own. A new price is a new
 * row with its day; the old one stays, for calls that were made before.
 */
export interface ListedPrice {
  readonly model: string;
  /** UTC day from which it holds; absent: from the beginning. */
  readonly since?: string;
  readonly input: string;
  readonly cachedInput: string;
  /** Where writing to the cache costs more than reading anew; absent: as `input`. */
  readonly cacheWrite?: string;
  /** Reasoning tokens are output. */
  readonly output: string;
  /** For the whole request where it has more than 272,000 input tokens: twice the input price, one and a half times the output price. */
  readonly longContext?: true;
  /** In percent of the default tier; absent: the tier is not offered. */
  readonly flex?: number;
  readonly priority?: number;
  readonly batch?: number;
}

const halved = { flex: 50, batch: 50 } as const;
const fast = { ...halved, priority: 200 } as const;

export const priceList: readonly ListedPrice[] = [
  {
    ...{ model: 'gpt-6-astra', input: '10', cachedInput: '1', cacheWrite: '12.5', output: '50' },
    ...{ longContext: true, ...fast },
  },
  {
    ...{ model: 'gpt-6-sol', input: '2', cachedInput: '0.2', cacheWrite: '2.5', output: '10' },
    ...{ longContext: true, ...fast },
  },
  {
    ...{ model: 'gpt-6-luna', input: '0.1', cachedInput: '0.01', cacheWrite: '0.125' },
    ...{ output: '0.5', longContext: true, ...fast },
  },
  {
    ...{ model: 'gpt-5.6-sol', input: '5', cachedInput: '0.5', cacheWrite: '6.25', output: '30' },
    ...{ longContext: true, ...fast },
  },
  {
    ...{ model: 'gpt-5.6-sol', since: '2026-08-21', input: '4', cachedInput: '0.4' },
    ...{ cacheWrite: '5', output: '20', longContext: true, ...fast },
  },
  {
    ...{ model: 'gpt-5.6-terra', input: '2.5', cachedInput: '0.25', cacheWrite: '3.125' },
    ...{ output: '15', longContext: true, ...fast },
  },
  {
    ...{ model: 'gpt-5.6-terra', since: '2026-07-30', input: '2', cachedInput: '0.2' },
    ...{ cacheWrite: '2.5', output: '12', longContext: true, ...fast },
  },
  {
    ...{ model: 'gpt-5.6-luna', input: '1', cachedInput: '0.1', cacheWrite: '1.25', output: '6' },
    ...{ longContext: true, ...fast },
  },
  {
    ...{ model: 'gpt-5.6-luna', since: '2026-07-30', input: '0.2', cachedInput: '0.02' },
    ...{ cacheWrite: '0.25', output: '1.2', longContext: true, ...fast },
  },
  {
    ...{ model: 'gpt-5.5', input: '5', cachedInput: '0.5', output: '30', longContext: true },
    ...{ ...halved, priority: 250 },
  },
  {
    ...{ model: 'gpt-5.4', input: '2.5', cachedInput: '0.25', output: '15', longContext: true },
    ...fast,
  },
  { model: 'gpt-5.4-mini', input: '0.75', cachedInput: '0.075', output: '4.5', ...fast },
  { model: 'gpt-5.4-nano', input: '0.2', cachedInput: '0.02', output: '1.25', ...halved },
  { model: 'gpt-5.2', input: '1.75', cachedInput: '0.175', output: '14', ...fast },
  { model: 'gpt-5.1', input: '1.25', cachedInput: '0.125', output: '10', ...fast },
  { model: 'gpt-5', input: '1.25', cachedInput: '0.125', output: '10', ...fast },
  {
    ...{ model: 'gpt-5-mini', input: '0.25', cachedInput: '0.025', output: '2' },
    ...{ ...halved, priority: 180 },
  },
  { model: 'gpt-5-nano', input: '0.05', cachedInput: '0.005', output: '0.4', ...halved },
  {
    ...{ model: 'gpt-4.1', input: '2', cachedInput: '0.5', output: '8' },
    ...{ batch: 50, priority: 175 },
  },
  {
    ...{ model: 'gpt-4.1-mini', input: '0.4', cachedInput: '0.1', output: '1.6' },
    ...{ batch: 50, priority: 175 },
  },
  { model: 'gpt-4.1-nano', input: '0.1', cachedInput: '0.025', output: '0.4', batch: 50 },
];
