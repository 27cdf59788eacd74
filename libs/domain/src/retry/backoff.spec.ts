import fc from 'fast-check';
import { backoffCeilingMs, fullJitterMs, type Backoff } from './backoff.js';

const anyBackoff: fc.Arbitrary<Backoff> = fc.record({
  firstDelayMs: fc.integer({ min: 1, max: 60_000 }),
  factor: fc.double({ min: 1, max: 10, noNaN: true }),
  maxDelayMs: fc.integer({ min: 1, max: 3_600_000 }),
});
const anyTries = fc.integer({ min: 1, max: 2_000 });
const anyRandom = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('backoff', () => {
  it('waits from 0 up to the ceiling, and the ceiling is never over the greatest delay', () => {
    fc.assert(
      fc.property(anyBackoff, anyTries, anyRandom, (backoff, tries, random) => {
        const ceilingMs = backoffCeilingMs(backoff, tries);
        const jitterMs = fullJitterMs(backoff, tries, random);
        expect(jitterMs).toBeGreaterThanOrEqual(0);
        expect(jitterMs).toBeLessThanOrEqual(ceilingMs);
        expect(ceilingMs).toBeLessThanOrEqual(backoff.maxDelayMs);
        expect(Number.isInteger(jitterMs)).toBe(true);
      }),
    );
  });

  it('never has a lower ceiling after one more try, however many there were', () => {
    fc.assert(
      fc.property(anyBackoff, anyTries, (backoff, tries) => {
        expect(backoffCeilingMs(backoff, tries + 1)).toBeGreaterThanOrEqual(
          backoffCeilingMs(backoff, tries),
        );
      }),
    );
  });

  it('uses the whole room below the ceiling', () => {
    const backoff = { firstDelayMs: 1_000, factor: 2, maxDelayMs: 60_000 };
    expect([0, 0.5, 0.999].map((random) => fullJitterMs(backoff, 3, random))).toEqual([
      0, 2_000, 3_996,
    ]);
  });

  it('begins with the first delay and grows by the factor', () => {
    const backoff = { firstDelayMs: 2_000, factor: 3, maxDelayMs: 100_000 };
    expect([1, 2, 3, 4, 5].map((tries) => backoffCeilingMs(backoff, tries))).toEqual([
      2_000, 6_000, 18_000, 54_000, 100_000,
    ]);
  });
});
