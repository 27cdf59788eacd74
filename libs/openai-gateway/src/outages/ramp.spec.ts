import fc from 'fast-check';
import { Ramp } from './ramp.js';

const policy = { stepMs: 1_000, fullAt: 64 };

describe('a lane that comes back', () => {
  it('lets one call in, and no other before that one has gone well', () => {
    const ramp = new Ramp(policy, 'completed', 0);
    expect(ramp.tryEnter(0)).toBe(true);
    expect(ramp.tryEnter(60_000)).toBe(false);
    ramp.answered(60_000);
    expect(ramp.tryEnter(60_000)).toBe(false); // it has to come to its end
    ramp.completed(61_000);
    ramp.left();
    expect(ramp.room(61_000)).toBe(2);
  });

  it('is content with an answer after a breaker', () => {
    const ramp = new Ramp(policy, 'answered', 0);
    ramp.tryEnter(0);
    ramp.answered(1_000);
    expect(ramp.room(1_000)).toBe(1); // two at once, the first among them
  });

  it('lets another one try where the first proved nothing', () => {
    const ramp = new Ramp(policy, 'completed', 0);
    ramp.tryEnter(0);
    ramp.left();
    expect(ramp.room(5_000)).toBe(1);
  });

  it('doubles at most once a step, however quick the answers are', () => {
    const ramp = new Ramp(policy, 'answered', 0);
    for (let call = 0; call < 1_000; call += 1) {
      if (!ramp.tryEnter(1_500)) break;
      ramp.answered(1_500);
      ramp.left();
    }
    expect(ramp.room(1_500)).toBe(2);
  });

  it('never has more under way than its level, which only good calls raise', () => {
    const event = fc.constantFrom('enter', 'answered', 'completed', 'left', 'second');
    fc.assert(
      fc.property(fc.array(event, { maxLength: 300 }), (events) => {
        const ramp = new Ramp(policy, 'answered', 0);
        let [nowMs, underWay, good] = [0, 0, 0];
        for (const each of events) {
          if (each === 'second') nowMs += 1_000;
          if (each === 'enter' && ramp.tryEnter(nowMs)) underWay += 1;
          if (underWay === 0) continue;
          if (each === 'answered') good += 1;
          if (each === 'answered') ramp.answered(nowMs);
          if (each === 'completed') ramp.completed(nowMs);
          if (each === 'left') underWay -= 1;
          if (each === 'left') ramp.left();
          if (ramp.isOver) return;
          // levels 1 + 2 + … + 2^(n-1) good calls lead to level 2^n
          expect(underWay).toBeLessThanOrEqual(2 ** Math.floor(Math.log2(good + 1)));
        }
      }),
    );
  });

  it('is as wide as ever when the last level has gone well', () => {
    const ramp = new Ramp({ stepMs: 0, fullAt: 4 }, 'answered', 0);
    for (let call = 0; call < 7; call += 1) {
      ramp.tryEnter(0);
      ramp.answered(0);
      ramp.left();
    }
    expect(ramp.isOver).toBe(true);
    expect(ramp.room(0)).toBe(Infinity);
  });
});
