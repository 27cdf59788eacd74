/**
 * Which price a model has, in which tier, on which day: the list of ours, what settings add or put in its place, and a ceiling
 * for whatever neither knows. A model without any of them has no price, and is never called: it is not free.
 */
import { parseUsd } from '#libs/domain';
import { priceList, type ListedPrice } from './price-list.js';
import type { Price, Rates, PriceTier } from './price.js';

export interface PriceSettings {
  /** Other providers' models, or prices agreed on: they stand in place of the list's. They hold in every tier. */
  readonly prices?: ReadonlyMap<string, SettledPrice>;
  /** For models that nobody knows; null: they are refused. */
  readonly unknownModels?: SettledPrice | null;
}

/** Dollars per million tokens, as in the list. */
export type SettledPrice = Pick<ListedPrice, 'input' | 'cachedInput' | 'output'>;

const SNAPSHOT = /-\d{4}-\d{2}-\d{2}$/;
const ANY_TIER = { flex: 100, priority: 100, batch: 100 } as const;

export class PriceTable {
  readonly #rows = new Map<string, ListedPrice[]>();
  readonly #ceiling: ListedPrice | null;

  constructor({ prices = new Map(), unknownModels = null }: PriceSettings = {}) {
    for (const [model, rows] of Map.groupBy(priceList, (row) => row.model))
      this.#rows.set(
        model,
        rows.toSorted((a, b) => sinceOf(b).localeCompare(sinceOf(a))),
      );
    for (const [model, price] of prices) this.#rows.set(model, [{ model, ...price, ...ANY_TIER }]);
    this.#ceiling = unknownModels && { model: 'any', ...unknownModels, ...ANY_TIER };
  }

  /** @returns null: nobody knows what it costs */
  find(model: string, tier: PriceTier, atMs: number): Price | null {
    const row = this.#rowOf(model, new Date(atMs).toISOString().slice(0, 10)) ?? this.#ceiling;
    const percent = row === null ? undefined : tier === 'default' ? 100 : row[tier];
    return row === null || percent === undefined ? null : priceOf(row, percent);
  }

  /** For whoever has to be told what he may use instead. */
  knownModels(): string[] {
    return [...this.#rows.keys()].sort();
  }

  /** Its own row, else that of its family. */
  #rowOf(model: string, day: string): ListedPrice | null {
    const rows = this.#rows.get(model) ?? this.#rows.get(model.replace(SNAPSHOT, ''));
    return rows?.find((row) => sinceOf(row) <= day) ?? null;
  }
}

const sinceOf = ({ since = '' }: ListedPrice): string => since;

function priceOf(row: ListedPrice, percent: number): Price {
  const rates = {
    input: perMillion(row.input),
    cachedInput: perMillion(row.cachedInput),
    cacheWrite: perMillion(row.cacheWrite ?? row.input),
    output: perMillion(row.output),
  };
  return {
    rates,
    longContext: row.longContext ? longContextOf(rates) : null,
    percent: BigInt(percent),
  };
}

const longContextOf = ({ input, cachedInput, cacheWrite, output }: Rates): Rates => ({
  input: 2n * input,
  cachedInput: 2n * cachedInput,
  cacheWrite: 2n * cacheWrite,
  output: (3n * output) / 2n,
});

function perMillion(dollars: string): bigint {
  const amount = parseUsd(dollars);
  if (amount === null) throw new PriceUnreadableError(dollars);
  return amount;
}

/** A bug in the list, or settings that nobody has checked. */
export class PriceUnreadableError extends Error {
  override readonly name = 'PriceUnreadableError';
  readonly code = 'price_unreadable';
  constructor(dollars: string) {
    super(`"${dollars}" is not a price in dollars per million tokens`);
  }
}
