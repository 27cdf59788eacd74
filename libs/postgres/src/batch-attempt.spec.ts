import fc from 'fast-check';
import { batchRetryDelayMs } from './batch-attempt.js';

describe('batchRetryDelayMs', () => {
  it('doubles up to its ceiling, and is never under half of it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2_000 }),
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 100, max: 5_000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (failures, firstDelayMs, maxDelayMs, random) => {
          const delayMs = batchRetryDelayMs(
            failures,
            { firstDelayMs, maxDelayMs, maxRetryMs: 0 },
            random,
          );
          const ceilingMs = Math.min(maxDelayMs, firstDelayMs * 2 ** failures);
          expect(delayMs).toBeGreaterThanOrEqual(ceilingMs / 2);
          expect(delayMs).toBeLessThan(ceilingMs);
        },
      ),
    );
  });
});
