/** What an ended call is known to have cost. Pure. */
import { ZERO_USD, type NanoUsd } from '#libs/domain';
import type { CallFailure, Usage } from '../model-call.js';
import { costOf, priceTiers, type PriceTier } from './price.js';
import type { PriceTable } from './price-table.js';

/** What a response says of its own price. */
export interface Bill {
  /** The snapshot that answered. */
  readonly model: string;
  /** As OpenAI names it; null where it says nothing, which is the default. */
  readonly serviceTier: string | null;
  /** By OpenAI's clock: the price of that day holds. */
  readonly createdAtMs: number;
  /** As checked by `isPlausible`. */
  readonly usage: Usage;
}

/** @returns null: nobody knows; what was reserved for it stays, as uncertain */
export function costOfEnd(
  bill: Bill | null,
  failure: CallFailure | null,
  askedModel: string,
  prices: PriceTable,
): NanoUsd | null {
  if (bill !== null) return costOfBill(bill, askedModel, prices);
  return failure !== null && isSurelyFree(failure) ? ZERO_USD : null;
}

/** Where the endpoint answers under a name that nobody knows, the price of what was asked for holds. */
function costOfBill(bill: Bill, askedModel: string, prices: PriceTable): NanoUsd | null {
  const { usage, createdAtMs } = bill;
  const tier = tierOf(bill);
  if (tier === null) return null;
  const price =
    prices.find(bill.model, tier, createdAtMs) ?? prices.find(askedModel, tier, createdAtMs);
  return price && costOf(usage, price);
}

function tierOf({ serviceTier }: Bill): PriceTier | null {
  if (serviceTier === null || serviceTier === 'auto' || serviceTier === 'scale') return 'default';
  return priceTiers.find((tier) => tier === serviceTier) ?? null;
}

/** A fault of OpenAI's own says nothing of what was done before it. */
const isSurelyFree = ({ paid, class: failureClass }: CallFailure): boolean =>
  paid === 'no' && failureClass !== 'server_error';
