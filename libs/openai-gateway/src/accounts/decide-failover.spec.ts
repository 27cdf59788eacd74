import { failureClasses } from '#libs/domain';
import { LONG_WAIT_MS, mayFailOver } from './decide-failover.js';

const failed = (failureClass: (typeof failureClasses)[number], changes = {}) => ({
  ...{ class: failureClass, paid: 'no' as const, retryAfterMs: null, ...changes },
});

it('goes to the next account where this one cannot take the call, and another may', () => {
  const goes = failureClasses.filter((each) => mayFailOver(failed(each)));
  expect(goes).toEqual(['authorization', 'billing', 'configuration', 'not_sent']);
});

it('goes there for a limit of the day, not for one of the minute', () => {
  expect(mayFailOver(failed('throttled', { retryAfterMs: LONG_WAIT_MS }))).toBe(true);
  expect(mayFailOver(failed('throttled', { retryAfterMs: LONG_WAIT_MS - 1 }))).toBe(false);
});

it.each(['maybe', 'yes'] as const)('never goes there where it was paid: %s', (paid) => {
  for (const each of failureClasses)
    expect(mayFailOver(failed(each, { paid, retryAfterMs: LONG_WAIT_MS }))).toBe(false);
});
