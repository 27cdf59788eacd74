import fc from 'fast-check';
import { chooseTier, retryTiers, SHORT_WAIT_MS } from './retry-tiers.js';

const DAY_MS = 86_400_000;
const anyWaitMs = fc.oneof(
  fc.integer({ min: 0, max: 7 * DAY_MS }),
  fc.constantFrom(...retryTiers.flatMap(({ delayMs }) => [delayMs - 1, delayMs, delayMs + 1])),
);

describe('the tier for a wait', () => {
  it('is the largest that does not overshoot it', () => {
    fc.assert(
      fc.property(anyWaitMs, (waitMs) => {
        const fitting = retryTiers.filter(({ delayMs }) => delayMs <= waitMs);
        const largest = Math.max(...fitting.map(({ delayMs }) => delayMs));
        expect(chooseTier(waitMs)?.delayMs ?? null).toBe(fitting.length === 0 ? null : largest);
      }),
    );
  });

  it('is none exactly for a short wait, which stays on the row', () => {
    fc.assert(
      fc.property(anyWaitMs, (waitMs) => {
        expect(chooseTier(waitMs) === null).toBe(waitMs < SHORT_WAIT_MS);
      }),
    );
  });
});

describe('a wait that hops from tier to tier', () => {
  it('ends in a short wait after one hop per ten minutes and a handful more, without ever overshooting', () => {
    fc.assert(
      fc.property(anyWaitMs, (waitMs) => {
        let leftMs = waitMs;
        let hops = 0;
        for (let tier = chooseTier(leftMs); tier !== null; tier = chooseTier(leftMs)) {
          leftMs -= tier.delayMs;
          hops++;
        }
        expect(leftMs).toBeGreaterThanOrEqual(0);
        expect(leftMs).toBeLessThan(SHORT_WAIT_MS);
        expect(hops).toBeLessThanOrEqual(Math.floor(waitMs / 600_000) + 4 + 3 + 5);
      }),
    );
  });

  it('ends just so where the records come out late', () => {
    const late = fc.array(fc.integer({ min: 0, max: 30_000 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: DAY_MS }), late, (waitMs, latenesses) => {
        let leftMs = waitMs;
        let hops = 0;
        for (let tier = chooseTier(leftMs); tier !== null; tier = chooseTier(leftMs)) {
          leftMs -= tier.delayMs + latenesses[hops++ % latenesses.length]!;
        }
        expect(hops).toBeLessThanOrEqual(144 + 12);
      }),
    );
  });
});
