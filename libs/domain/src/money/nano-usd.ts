/**
 * Money: whole nano-dollars (10⁻⁹ USD) as a branded `bigint`. A price per million tokens with up to three decimals is a whole
 * number of them per thousand tokens, so nothing is ever rounded but the sum of one call, once, upwards.
 */
declare const isNanoUsd: unique symbol;
export type NanoUsd = bigint & { readonly [isNanoUsd]: true };

const PER_USD = 1_000_000_000n;
const DECIMALS = 9;
/** What a `bigint` column of Postgres holds, with room for sums: nine digits of dollars. */
const AMOUNT = /^(\d{1,9})(?:\.(\d{1,9}))?$/;

/** @param amount never negative: nobody is owed anything */
export function nanoUsd(amount: bigint): NanoUsd {
  if (amount < 0n) throw new RangeError(`an amount of money is not negative: ${amount}`);
  return amount as NanoUsd;
}

export const ZERO_USD = nanoUsd(0n);

/** Dollars in decimals, such as `2.50`; null for anything else, signs, exponents and more than nine decimals included. */
export function parseUsd(text: string): NanoUsd | null {
  const [, dollars, decimals = ''] = AMOUNT.exec(text) ?? [];
  if (dollars === undefined) return null;
  return nanoUsd(BigInt(dollars) * PER_USD + BigInt(decimals.padEnd(DECIMALS, '0')));
}

/** Exact, with two decimals at least: `2.50`, `0.000012345`. What `parseUsd` reads. */
export function printUsd(amount: NanoUsd): string {
  const decimals = (amount % PER_USD).toString().padStart(DECIMALS, '0');
  return `${amount / PER_USD}.${decimals.replace(/0{1,7}$/, '')}`;
}

export const addUsd = (...amounts: readonly NanoUsd[]): NanoUsd =>
  nanoUsd(amounts.reduce((sum: bigint, amount) => sum + amount, 0n));
