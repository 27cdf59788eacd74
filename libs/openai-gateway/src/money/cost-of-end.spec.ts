import type { CallFailure } from '../model-call.js';
import { costOfEnd, type Bill } from './cost-of-end.js';
import { PriceTable } from './price-table.js';

const prices = new PriceTable();
const usage = {
  ...{ inputTokens: 1_000, cachedInputTokens: 0, outputTokens: 100, reasoningTokens: 0 },
  totalTokens: 1_100,
};
const bill: Bill = {
  ...{ model: 'gpt-5.2-2026-01-15', serviceTier: 'default', usage },
  createdAtMs: Date.parse('2026-11-20'),
};
const failure = (changes: Partial<CallFailure>): CallFailure => ({
  ...{ class: 'throttled', code: 'c', httpStatus: null, requestId: null, responseId: null },
  ...{ message: 'm', retryAfterMs: null, paid: 'no', breaker: 'none', ...changes },
});
const costOf = (changes: Partial<Bill>, asked = 'gpt-5.2') =>
  costOfEnd({ ...bill, ...changes }, null, asked, prices);

it('is what the bill says, in the tier that served it', () => {
  expect(costOf({})).toBe(3_150_000n);
  expect(costOf({ serviceTier: 'flex' })).toBe(1_575_000n);
  expect(costOf({ serviceTier: null })).toBe(3_150_000n);
});

it('is that of the model that was asked for, where the one that answered has no price', () => {
  expect(costOf({ model: 'in-house-name' })).toBe(3_150_000n);
});

it.each([
  ['a tier that nobody knows', { serviceTier: 'turbo' }, 'gpt-5.2'],
  ['a model that nobody knows', { model: 'a' }, 'b'],
])('is not known of %s', (_what, changes, asked) => {
  expect(costOf(changes, asked)).toBeNull();
});

it('is nothing where surely nothing was done, and not known where it may have been', () => {
  const without = (changes: Partial<CallFailure>) =>
    costOfEnd(null, failure(changes), 'gpt-5.2', prices);
  expect(without({})).toBe(0n);
  expect(without({ paid: 'maybe' })).toBeNull();
  expect(without({ paid: 'yes' })).toBeNull();
  expect(without({ class: 'server_error' })).toBeNull();
  expect(costOfEnd(null, null, 'gpt-5.2', prices)).toBeNull();
});
