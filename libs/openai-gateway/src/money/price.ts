/**
 * What tokens cost at one price. Pure, in whole numbers: nano-dollars per million tokens, and percent for the tier; the sum of a
 * call is rounded once, upwards, to the nano-dollar.
 */
import { nanoUsd, type NanoUsd } from '#libs/domain';
import type { Usage } from '../model-call.js';

export const priceTiers = ['default', 'flex', 'priority', 'batch'] as const;
export type PriceTier = (typeof priceTiers)[number];

/** Nano-dollars per million tokens. */
export interface Rates {
  readonly input: bigint;
  readonly cachedInput: bigint;
  readonly cacheWrite: bigint;
  readonly output: bigint;
}

export interface Price {
  readonly rates: Rates;
  /** For requests of more than `LONG_CONTEXT_TOKENS` input tokens; null: as any other. */
  readonly longContext: Rates | null;
  /** Of the tier: 100 for the default. */
  readonly percent: bigint;
}

export const LONG_CONTEXT_TOKENS = 272_000;
const PER_RATE = 1_000_000n * 100n;

/** @param usage as checked by `isPlausible` */
export function costOf(usage: Usage, price: Price): NanoUsd {
  const rates = ratesFor(usage.inputTokens, price);
  const written = usage.cacheWriteTokens ?? 0;
  const fresh = usage.inputTokens - usage.cachedInputTokens - written;
  return rounded(
    BigInt(fresh) * rates.input +
      BigInt(usage.cachedInputTokens) * rates.cachedInput +
      BigInt(written) * rates.cacheWrite +
      BigInt(usage.outputTokens) * rates.output,
    price,
  );
}

/** The most that a call may cost: nothing read from the cache, all of it written there, and every output token used. */
export function worstCost(inputTokens: number, maxOutputTokens: number, price: Price): NanoUsd {
  const { input, cacheWrite, output } = ratesFor(inputTokens, price);
  const dearest = cacheWrite > input ? cacheWrite : input;
  return rounded(BigInt(inputTokens) * dearest + BigInt(maxOutputTokens) * output, price);
}

/** More than any model takes or gives. */
const MAX_TOKENS = 100_000_000;

/** Whole numbers that add up. What a broken endpoint says is no bill. */
export function isPlausible(usage: Usage): boolean {
  const { inputTokens, cachedInputTokens, outputTokens, reasoningTokens, totalTokens } = usage;
  const written = usage.cacheWriteTokens ?? 0;
  const parts = [inputTokens, cachedInputTokens, outputTokens, reasoningTokens, written];
  return (
    [...parts, totalTokens].every(
      (count) => Number.isInteger(count) && count >= 0 && count <= MAX_TOKENS,
    ) && cachedInputTokens + written <= inputTokens
  );
}

const ratesFor = (inputTokens: number, { rates, longContext }: Price): Rates =>
  longContext !== null && inputTokens > LONG_CONTEXT_TOKENS ? longContext : rates;

const rounded = (sum: bigint, { percent }: Price): NanoUsd =>
  nanoUsd((sum * percent + PER_RATE - 1n) / PER_RATE);
