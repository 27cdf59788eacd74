import { failureClasses } from '#libs/domain';
import { classificationTable } from '../classify/classification-table.js';
import { isGivenBack, isLaneFault } from './lane-fault.js';
import { probeDelayMs, wordsForLatch } from './latch.js';
import { defaultOutagePolicy } from './outage-policy.js';

describe('what a failed call says of its lane', () => {
  it('stops it for money, keys and models that are missing', () => {
    const faults = failureClasses.filter(isLaneFault);
    expect(faults).toEqual(['authorization', 'billing', 'configuration']);
  });

  it('latches a lane, in the table, for these classes and no others', () => {
    for (const { class: failed, breaker } of classificationTable)
      expect([failed, breaker.startsWith('latch_')]).toEqual([failed, isLaneFault(failed)]);
  });

  it('is given back where it surely cost nothing', () => {
    expect(failureClasses.filter(isGivenBack).sort()).toEqual(['not_sent', 'server_error']);
  });
});

describe('the probe of a latch', () => {
  const delays = (failed: 'billing' | 'authorization') =>
    [0, 1, 2, 3, 9, 1_000].map((probes) =>
      probeDelayMs({ class: failed, probes }, defaultOutagePolicy),
    );

  it('comes every ten minutes where money is missing: each may cost', () => {
    expect(new Set(delays('billing'))).toEqual(new Set([600_000]));
  });

  it('comes soon, then ever later, where a key or a model is', () => {
    expect(delays('authorization')).toEqual([30_000, 60_000, 120_000, 240_000, 600_000, 600_000]);
  });
});

it('says what is wrong, and that somebody has been told', () => {
  expect(wordsForLatch({ class: 'billing' })).toBe(
    'the account with the AI service has run out of credit, and the people who can mend it have been told',
  );
});
