import { failureClasses } from '#libs/domain';
import {
  LONG_WAIT_MS,
  mayFailOver,
  mayGoElsewhere,
  mayLeaveQueue,
  QUEUE_WAIT_MS,
} from './decide-failover.js';

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

it('goes there where it may not leave for long, not where it has to wait a little', () => {
  const parked = { kind: 'parked', because: 'busy' } as const;
  const goes = (reason: 'outage' | 'throttled', untilMs: number | null) =>
    mayGoElsewhere({ ...parked, reason, untilMs }, 1_000);
  expect([goes('outage', null), goes('outage', 1_001)]).toEqual([true, true]);
  expect(goes('throttled', 1_000 + LONG_WAIT_MS)).toBe(true);
  expect([goes('throttled', LONG_WAIT_MS), goes('throttled', null)]).toEqual([false, false]);
  expect(mayGoElsewhere({ kind: 'aborted' }, 0)).toBe(false);
});

it('leaves the queue for another account after a second, and not before', () => {
  expect([mayLeaveQueue(0), mayLeaveQueue(QUEUE_WAIT_MS - 1)]).toEqual([false, false]);
  expect([mayLeaveQueue(QUEUE_WAIT_MS), QUEUE_WAIT_MS]).toEqual([true, 1_000]);
});

it.each(['maybe', 'yes'] as const)('never goes there where it was paid: %s', (paid) => {
  for (const each of failureClasses)
    expect(mayFailOver(failed(each, { paid, retryAfterMs: LONG_WAIT_MS }))).toBe(false);
});
