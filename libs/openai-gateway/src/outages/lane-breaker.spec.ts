/** Cockatiel counts by the wall clock, so its windows are those of the moment; the breaker's own time is given. */
import { LaneBreaker } from './lane-breaker.js';
import { defaultOutagePolicy } from './outage-policy.js';

const { openMs, maxOpenMs, minimumSamples } = defaultOutagePolicy;
const aBreaker = () => new LaneBreaker(defaultOutagePolicy, defaultOutagePolicy, () => 0);

function fault(breaker: LaneBreaker, times: number, nowMs = 0): boolean {
  return Array.from({ length: times }, () => breaker.faulted(nowMs, false)).includes(true);
}

describe('the breaker of a lane', () => {
  it('stays closed for a few faults, and for many among more good answers', () => {
    const breaker = aBreaker();
    expect(fault(breaker, minimumSamples - 1)).toBe(false);
    for (let call = 0; call < 100; call += 1) breaker.worked();
    expect(fault(breaker, 50)).toBe(false);
    expect(breaker.room(0)).toBe(Infinity);
  });

  it('opens once where most calls fail, lets nobody in, and says until when', () => {
    const breaker = aBreaker();
    expect(fault(breaker, minimumSamples)).toBe(true);
    expect(fault(breaker, 5)).toBe(false); // it is open already
    expect(breaker.tryEnter(1)).toMatchObject({ kind: 'open', untilMs: openMs });
    expect(breaker.openUntilMs(openMs - 1)).toBe(openMs);
    expect(breaker.room(openMs - 1)).toBe(0);
  });

  it('then lets one call in; if that one fails it rests twice as long, up to a limit', () => {
    const breaker = aBreaker();
    fault(breaker, minimumSamples);
    let [nowMs, forMs] = [openMs, openMs];
    for (let times = 0; times < 8; times += 1) {
      expect(breaker.tryEnter(nowMs).kind).toBe('entered');
      expect(breaker.tryEnter(nowMs).kind).toBe('full');
      breaker.worked(); // a call from before the outage, answered late: it proves nothing
      expect(breaker.faulted(nowMs, true)).toBe(true);
      forMs = Math.min(maxOpenMs, forMs * 2);
      expect(breaker.openUntilMs(nowMs)).toBe(nowMs + forMs);
      nowMs += forMs;
    }
  });

  it('does not open on a single fault while it comes back, past its first call', () => {
    const breaker = aBreaker();
    fault(breaker, minimumSamples);
    const entry = breaker.tryEnter(openMs);
    breaker.worked();
    if (entry.kind === 'entered') entry.ramp?.answered(openMs + 1_000);
    expect(breaker.faulted(openMs + 1_000, false)).toBe(false);
    expect(breaker.room(openMs + 1_000)).toBe(1);
  });

  it('comes back slowly after a latch, too', () => {
    const breaker = aBreaker();
    breaker.comeBack(0, 'completed');
    expect(breaker.room(0)).toBe(1);
  });
});
