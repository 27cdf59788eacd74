import fc from 'fast-check';
import { nanoUsd, parseUsd, printUsd } from './nano-usd.js';

const anyAmount = fc.bigInt({ min: 0n, max: 999_999_999_999_999_999n }).map(nanoUsd);

it('prints what it reads, to the nano-dollar', () => {
  fc.assert(fc.property(anyAmount, (amount) => expect(parseUsd(printUsd(amount))).toBe(amount)));
});

it.each([
  ['2.50', 2_500_000_000n],
  ['0', 0n],
  ['0.000000001', 1n],
  ['1000000', 1_000_000_000_000_000n],
])('reads %s', (text, amount) => expect(parseUsd(text)).toBe(amount));

it.each([
  '',
  '-1',
  '+1',
  '1e3',
  '.5',
  '1.',
  '1,000',
  '0.0000000001',
  ' 1',
  '$1',
  '1234567890',
  'NaN',
])('reads nothing into "%s"', (text) => expect(parseUsd(text)).toBeNull());

it('knows no negative amount', () => expect(() => nanoUsd(-1n)).toThrow(RangeError));
