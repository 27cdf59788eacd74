/** What a charge comes to, reckoned apart from Holdfast's own prices: the one model that the specs call, in nano-dollars per token. */
import type { Charge } from '../../dev/simulator/accepted-work.js';

const nanosPerToken = { 'gpt-5.2-2026-01-15': { input: 1_750n, cached: 175n, output: 14_000n } };

/** null: its response tells no usage. @throws for a model that the oracle has no price of */
export function priceOfCharge({ usage, model }: Pick<Charge, 'usage' | 'model'>): bigint | null {
  if (usage === null) return null;
  const price = Object.entries(nanosPerToken).find(([name]) => name === model)?.[1];
  if (price === undefined) throw new Error(`the oracle does not know what ${model} costs`);
  const cached = BigInt(usage.input_tokens_details.cached_tokens);
  const fresh = BigInt(usage.input_tokens) - cached;
  return fresh * price.input + cached * price.cached + BigInt(usage.output_tokens) * price.output;
}
