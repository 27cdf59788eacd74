import fc from 'fast-check';
import { Tidings } from './tidings.js';

const nothing = { limitRequests: null, limitTokens: null, leftRequests: null, leftTokens: null };

describe('what OpenAI has told', () => {
  it('is told once', () => {
    const tidings = new Tidings();
    tidings.said({ ...nothing, limitRequests: 500 });
    tidings.throttled(3_000);
    expect(tidings.take(performance.now()).told.limitRequests).toBe(500);
    expect(tidings.take(performance.now())).toEqual({
      told: nothing,
      holdMs: null,
      overloadedAgoMs: null,
    });
  });

  it('of being throttled empties the bucket that is used up, or both where it does not say which', () => {
    const tidings = new Tidings();
    tidings.said({ ...nothing, leftRequests: 40, leftTokens: 0 });
    tidings.throttled(1_000);
    expect(tidings.take(performance.now()).told).toMatchObject({ leftRequests: 40, leftTokens: 0 });
    tidings.throttled(1_000);
    expect(tidings.take(performance.now()).told).toMatchObject({ leftRequests: 0, leftTokens: 0 });
  });

  it('holds for as long as it says, for a second where it does not, and never for more than ten minutes', () => {
    fc.assert(
      fc.property(fc.option(fc.double({ min: -1e15, max: 1e15, noNaN: true })), (asked) => {
        const heldMs = new Tidings().throttled(asked);
        expect(heldMs).toBe(asked === null ? 1_000 : Math.min(600_000, Math.max(0, asked)));
      }),
    );
  });

  it('that did not arrive is told again, behind what is newer', () => {
    const tidings = new Tidings();
    tidings.said({ ...nothing, limitRequests: 500, limitTokens: 9 });
    tidings.throttled(60_000);
    tidings.overloaded(performance.now() - 5_000);
    const takenAtMs = performance.now();
    const taken = tidings.take(takenAtMs);
    tidings.said({ ...nothing, limitRequests: 400 });
    tidings.notTold(taken, takenAtMs);
    const { told, holdMs, overloadedAgoMs } = tidings.take(performance.now());
    expect(told).toMatchObject({ limitRequests: 400, limitTokens: 9, leftRequests: 0 });
    expect(holdMs).toBeGreaterThan(59_000);
    expect(overloadedAgoMs).toBeGreaterThan(4_999);
  });
});
