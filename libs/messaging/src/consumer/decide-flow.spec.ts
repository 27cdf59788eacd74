import fc from 'fast-check';
import { decideFlow, redeliveryDelayMs } from './decide-flow.js';

const limits = { maxBuffered: 100, maxBufferedBytes: 1_000 };

describe('flow', () => {
  it.each([
    ['pause', { unsettled: 100, bytes: 0, paused: false }],
    ['pause', { unsettled: 1, bytes: 1_000, paused: false }],
    ['keep', { unsettled: 99, bytes: 999, paused: false }],
    ['keep', { unsettled: 51, bytes: 0, paused: true }],
    ['keep', { unsettled: 10, bytes: 501, paused: true }],
    ['resume', { unsettled: 50, bytes: 500, paused: true }],
  ])('%s at %o', (decision, load) => {
    expect(decideFlow(load, limits)).toBe(decision);
  });

  it('always fetches again once everything is settled, and never pauses an empty partition', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1 }),
        fc.integer({ min: 1 }),
        (maxBuffered, maxBufferedBytes) => {
          const empty = { unsettled: 0, bytes: 0 };
          expect(decideFlow({ ...empty, paused: true }, { maxBuffered, maxBufferedBytes })).toBe(
            'resume',
          );
          expect(decideFlow({ ...empty, paused: false }, { maxBuffered, maxBufferedBytes })).toBe(
            'keep',
          );
        },
      ),
    );
  });

  it('hands over again after 50 ms to 10 s', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (failures, random) => {
          const delayMs = redeliveryDelayMs(failures, random);
          expect(delayMs).toBeGreaterThanOrEqual(50);
          expect(delayMs).toBeLessThanOrEqual(10_000);
        },
      ),
    );
    expect([1, 2, 3, 8].map((failures) => redeliveryDelayMs(failures, 1))).toEqual([
      100, 200, 400, 10_000,
    ]);
  });
});
