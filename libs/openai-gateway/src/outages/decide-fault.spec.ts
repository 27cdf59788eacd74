import fc from 'fast-check';
import { decideFault, type FaultFacts, type FaultVerdict } from './decide-fault.js';
import { LaneFaults } from './lane-faults.js';
import { defaultOutagePolicy as policy } from './outage-policy.js';

const { verdictMs, rememberMs, doubtedTries } = policy;

const anyFacts: fc.Arbitrary<FaultFacts> = fc.record({
  class: fc.constantFrom('not_sent', 'server_error'),
  try: fc.integer({ min: 1, max: 20 }),
  isShut: fc.boolean(),
  hasWorkedSince: fc.boolean(),
  othersFailed: fc.boolean(),
  agoMs: fc.integer({ min: 0, max: 2 * verdictMs }),
});
const always = (what: (facts: FaultFacts, verdict: FaultVerdict) => boolean) =>
  fc.assert(fc.property(anyFacts, (facts) => what(facts, decideFault(facts, policy))));

describe('whose a fault was', () => {
  it('is known when the lane has been silent for its time, at the latest', () => {
    always((facts, verdict) => verdict !== 'not_known_yet' || facts.agoMs < verdictMs);
  });

  it('is the call’s own where the lane has worked since, unless the lane is shut', () => {
    always((facts, verdict) => !facts.hasWorkedSince || facts.isShut || verdict === 'of_call');
  });

  it('is never the call’s own where nothing has worked since, and others failed or nothing left', () => {
    always((facts, verdict) => {
      const isOutage = facts.othersFailed || facts.class === 'not_sent';
      return facts.hasWorkedSince || !isOutage || verdict !== 'of_call';
    });
  });

  it('is not the lane’s where a call that was taken fails alone; it is doubted for so many tries', () => {
    always((facts, verdict) => {
      if (facts.class === 'not_sent' || facts.othersFailed) return true;
      return verdict !== 'of_lane' && (verdict !== 'in_doubt' || facts.try <= doubtedTries);
    });
  });
});

/** One lane and its calls, one after the other, each told as soon as can be. */
type Event = { readonly subject: string; readonly isGood: boolean; readonly pauseMs: number };

function play(events: readonly Event[]): { subject: string; verdict: FaultVerdict }[] {
  const faults = new LaneFaults(rememberMs);
  const tries = new Map<string, number>();
  let nowMs = 0;
  return events.flatMap(({ subject, isGood, pauseMs }, index) => {
    nowMs += pauseMs + 1;
    if (isGood) faults.worked(nowMs);
    if (isGood) return [];
    const [atMs, tried] = [nowMs, (tries.get(subject) ?? 0) + 1];
    tries.set(subject, tried);
    faults.met(subject, atMs);
    const next = events[index + 1];
    const isHeard = next?.isGood === true && next.pauseMs + 1 < verdictMs;
    const facts = {
      ...{ class: 'server_error' as const, try: tried, isShut: false },
      ...{ hasWorkedSince: isHeard, othersFailed: faults.othersThan(subject, atMs) },
      agoMs: verdictMs,
    };
    return [{ subject, verdict: decideFault(facts, policy) }];
  });
}

describe('on one lane', () => {
  const pauseMs = fc.integer({ min: 0, max: 60_000 });
  const other = fc.constantFrom('a', 'b', 'c');

  it('a request that fails each time, among any that work, is excused for its first tries only', () => {
    const poison = fc.record({
      subject: fc.constant('poison'),
      isGood: fc.constant(false),
      pauseMs,
    });
    const good = fc.record({ subject: other, isGood: fc.constant(true), pauseMs });
    fc.assert(
      fc.property(fc.array(fc.oneof(poison, good), { maxLength: 60 }), (events) => {
        const excused = play(events).filter(({ verdict }) => verdict !== 'of_call');
        expect(excused.length).toBeLessThanOrEqual(doubtedTries);
      }),
    );
  });

  it('where nothing works, a request that others fail beside is never charged, at any rate', () => {
    const bad = fc.record({ subject: other, isGood: fc.constant(false), pauseMs });
    fc.assert(
      fc.property(fc.array(bad, { minLength: 2, maxLength: 60 }), (events) => {
        const told = play(events);
        const second = events.findIndex(({ subject }) => subject !== events[0]?.subject);
        fc.pre(second > 0 && second <= doubtedTries);
        expect(told.map(({ verdict }) => verdict)).not.toContain('of_call');
        expect(told.slice(second).every(({ verdict }) => verdict === 'of_lane')).toBe(true);
      }),
    );
  });

  it('what others met long ago, or before the lane worked, says nothing any more', () => {
    const faults = new LaneFaults(rememberMs);
    faults.met('a', 0);
    expect(faults.othersThan('b', rememberMs - 1)).toBe(true);
    expect(faults.othersThan('b', rememberMs)).toBe(false);
    faults.met('a', rememberMs);
    expect([faults.othersThan('a', rememberMs), faults.timesOf('a')]).toEqual([false, 2]);
    faults.worked(rememberMs + 1);
    expect([faults.othersThan('b', rememberMs + 2), faults.timesOf('a')]).toEqual([false, 0]);
    expect([faults.hasWorkedSince(rememberMs), faults.hasWorkedSince(rememberMs + 1)]).toEqual([
      true,
      false,
    ]);
  });
});
