import fc from 'fast-check';
import { Demand } from './demand.js';

const none = { requests: 0, tokens: 0 };
const nobody = { waiting: none, head: none };
const plenty = { requests: Infinity, tokens: Infinity };

/** Calls of 100 tokens at a steady pace, with a look every 400 ms. */
function atPace(callsPerLook: number, looks: number) {
  const demand = new Demand(0);
  let target = none;
  for (let look = 1; look <= looks; look += 1) {
    for (let n = 0; n < callsPerLook; n += 1) demand.entered(100);
    target = demand.target(nobody, plenty, look * 400);
  }
  return { demand, target };
}

describe('what a process will need', () => {
  it('is half a second of the pace of late', () => {
    expect(atPace(20, 10).target).toEqual({ requests: 25, tokens: 2_500 });
  });

  it('is nothing when nobody has come for some seconds', () => {
    const { demand } = atPace(20, 10);
    const later = [5_000, 6_000, 7_000].map((atMs) => demand.target(nobody, plenty, atMs));
    expect(later.at(-1)).toEqual(none);
    expect(demand.isSteady).toBe(false);
  });

  it('is what waits and what was turned away, each counted once', () => {
    const demand = new Demand(0);
    demand.turnAway(100);
    demand.turnAway(100);
    demand.cameBack(100);
    const queue = { waiting: { requests: 1, tokens: 100 }, head: { requests: 1, tokens: 100 } };
    expect(demand.target(queue, plenty, 20)).toEqual({ requests: 2, tokens: 200 });
    expect(demand.target(nobody, plenty, 40)).toEqual(none);
  });

  it('is never more than a fair part, but always what the next one needs', () => {
    const amount = fc.integer({ min: 0, max: 1_000 });
    const amounts = fc.record({ requests: amount, tokens: amount });
    fc.assert(
      fc.property(amounts, amounts, amounts, (more, head, fairPart) => {
        const waiting = {
          requests: head.requests + more.requests,
          tokens: head.tokens + more.tokens,
        };
        const target = new Demand(0).target({ waiting, head }, fairPart, 100);
        if (waiting.requests === 0) return;
        for (const kind of ['requests', 'tokens'] as const) {
          expect(target[kind]).toBeGreaterThanOrEqual(head[kind]);
          expect(target[kind]).toBeLessThanOrEqual(Math.max(head[kind], fairPart[kind]));
        }
      }),
    );
  });
});
