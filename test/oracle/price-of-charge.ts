/** What a charge comes to, reckoned apart from Holdfast's own prices: the one model that the specs call, in nano-dollars per token. */
import type { Charge } from '../../dev/simulator/accepted-work.js';

const nanosPerToken = { 'gpt-5.2-2026-01-15': { input: 1_750n, cached: 175n, output: 14_000n } };

const percentOfTier: Readonly<Record<string, bigint>> = {
  default: 100n,
  flex: 50n,
  priority: 200n,
};

/** null: its response tells no usage. @throws for a model or tier that the oracle has no price of */
export function priceOfCharge({
  usage,
  model,
  serviceTier,
}: Pick<Charge, 'usage' | 'model' | 'serviceTier'>): bigint | null {
  if (usage === null) return null;
  const price = Object.entries(nanosPerToken).find(([name]) => name === model)?.[1];
  const percent = percentOfTier[serviceTier];
  if (price === undefined || percent === undefined)
    throw new Error(`the oracle does not know what ${model} costs in the tier ${serviceTier}`);
  const cached = BigInt(usage.input_tokens_details.cached_tokens);
  const fresh = BigInt(usage.input_tokens) - cached;
  const sum =
    fresh * price.input + cached * price.cached + BigInt(usage.output_tokens) * price.output;
  return (sum * percent + 99n) / 100n;
}
