/** What calls cost: the arithmetic, which row applies, and the list held against what others know (`@pydantic/genai-prices`). */
import { calcPrice } from '@pydantic/genai-prices';
import fc from 'fast-check';
import type { Usage } from '../model-call.js';
import { costOf, isPlausible, worstCost, type Price, type PriceTier } from './price.js';
import { priceList } from './price-list.js';
import { PriceTable } from './price-table.js';

const table = new PriceTable();
const today = Date.parse('2026-11-20T12:00:00Z');
const priceOf = (model: string, tier: PriceTier = 'default', atMs = today): Price => {
  const price = table.find(model, tier, atMs);
  if (price === null) throw new Error(`no price of ${model}`);
  return price;
};
const usage = (inputTokens: number, outputTokens: number, cachedInputTokens = 0): Usage => ({
  ...{ inputTokens, cachedInputTokens, outputTokens, reasoningTokens: 0 },
  totalTokens: inputTokens + outputTokens,
});

describe('a call', () => {
  it('costs its tokens at their rates, to the nano-dollar', () => {
    expect(costOf(usage(1_000, 100), priceOf('gpt-5.2'))).toBe(1_750_000n + 1_400_000n);
    expect(costOf(usage(1_000, 100, 600), priceOf('gpt-5.2'))).toBe(
      700_000n + 105_000n + 1_400_000n,
    );
  });

  it('is rounded once, upwards', () => {
    expect(costOf(usage(1, 0, 1), priceOf('gpt-5-nano', 'flex'))).toBe(3n); // 2.5
    expect(costOf(usage(2, 0, 2), priceOf('gpt-5-nano', 'flex'))).toBe(5n);
  });

  it('costs more from 272,001 input tokens on, all of it', () => {
    const price = priceOf('gpt-5.4');
    expect(costOf(usage(272_000, 10), price)).toBe(272_000n * 2_500n + 10n * 15_000n);
    expect(costOf(usage(272_001, 10), price)).toBe(272_001n * 5_000n + 10n * 22_500n);
  });

  it('pays for what it writes to the cache, where that has a price', () => {
    const cost = costOf({ ...usage(1_000, 0), cacheWriteTokens: 400 }, priceOf('gpt-6-sol'));
    expect(cost).toBe(600n * 2_000n + 400n * 2_500n);
  });

  it('never costs more than what was reserved for it', () => {
    const models = fc.constantFrom(...table.knownModels());
    const counts = fc.record({
      ...{ inputTokens: fc.nat(400_000), outputTokens: fc.nat(50_000) },
      ...{ cached: fc.nat(400_000), written: fc.nat(400_000) },
    });
    fc.assert(
      fc.property(models, counts, (model, { inputTokens, outputTokens, cached, written }) => {
        const cachedInputTokens = Math.min(cached, inputTokens);
        const cacheWriteTokens = Math.min(written, inputTokens - cachedInputTokens);
        const used = { ...usage(inputTokens, outputTokens, cachedInputTokens), cacheWriteTokens };
        expect(isPlausible(used)).toBe(true);
        const price = priceOf(model);
        expect(costOf(used, price)).toBeLessThanOrEqual(
          worstCost(inputTokens, outputTokens, price),
        );
      }),
    );
  });

  it.each([
    ['negative counts', { outputTokens: -1 }],
    ['halves', { inputTokens: 0.5 }],
    ['more cached than sent', { cachedInputTokens: 11 }],
    ['more than can be counted', { outputTokens: 2 ** 60 }],
    ['what is no number', { inputTokens: Number.NaN }],
  ])('has no cost where its usage has %s', (_what, wrong) => {
    expect(isPlausible({ ...usage(10, 10), ...wrong })).toBe(false);
  });
});

describe('a price', () => {
  it('of a dated snapshot is that of its family', () => {
    expect(priceOf('gpt-5.2-2026-01-15')).toEqual(priceOf('gpt-5.2'));
  });

  it('holds from its day on, and not before', () => {
    const rateOn = (day: string) =>
      priceOf('gpt-5.6-luna', 'default', Date.parse(`${day}Z`)).rates.input;
    expect(rateOn('2026-07-29T23:59:59.999')).toBe(1_000_000_000n);
    expect(rateOn('2026-07-30T00:00:00')).toBe(200_000_000n);
  });

  it.each(['gpt-99', 'gpt-5.2-turbo', '', '__proto__'])('is not guessed for "%s"', (model) => {
    expect(table.find(model, 'default', today)).toBeNull();
  });

  it('is not guessed for a tier that the model has not', () => {
    expect(table.find('gpt-4.1', 'flex', today)).toBeNull();
    expect(priceOf('gpt-5.2', 'priority').percent).toBe(200n);
  });

  it('comes from the settings before the list, and from the ceiling where neither knows', () => {
    const own = { input: '1', cachedInput: '1', output: '2' };
    const set = new PriceTable({
      prices: new Map([
        ['gpt-5.2', own],
        ['llama-9', own],
      ]),
      unknownModels: { input: '50', cachedInput: '50', output: '200' },
    });
    const inputOf = (model: string) => set.find(model, 'flex', today)?.rates.input;
    expect(['gpt-5.2', 'llama-9', 'gpt-99'].map(inputOf)).toEqual([
      1_000_000_000n,
      1_000_000_000n,
      50_000_000_000n,
    ]);
    expect(set.knownModels()).toContain('llama-9');
  });
});

/** Rows that depart from `@pydantic/genai-prices`, each with the reason. */
const departures: Readonly<Record<string, string>> = {};
const days = ['2026-07-10', '2026-08-10', '2026-11-20'];

it.each(priceList.map(({ model, since }) => [model, since ?? 'the beginning'] as const))(
  'what the list says of %s from %s on is what others know',
  (model) => {
    const differing = days.flatMap((day) =>
      [usage(100_000, 1_000), usage(100_000, 1_000, 50_000), usage(300_000, 1_000)].flatMap(
        (used) => {
          const theirs = calcPrice(
            {
              ...{ input_tokens: used.inputTokens, output_tokens: used.outputTokens },
              cache_read_tokens: used.cachedInputTokens,
            },
            model,
            { providerId: 'openai', timestamp: new Date(day) },
          );
          const ours = Number(costOf(used, priceOf(model, 'default', Date.parse(day)))) / 1e9;
          const isSame = theirs !== null && Math.abs(theirs.total_price - ours) < 1e-9;
          return isSame ? [] : [{ day, used, ours, theirs: theirs?.total_price }];
        },
      ),
    );
    expect(model in departures ? [] : differing).toEqual([]);
    if (model in departures) expect(differing).not.toEqual([]);
  },
);
