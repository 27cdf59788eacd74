import fc from 'fast-check';
import { isTerminal, runStatuses, type RunStatus } from './run-status.js';
import { findTransition, mayFollow, runTransitions } from './run-transitions.js';

const anyStatus = fc.constantFrom(...runStatuses);

function reachableFrom(start: RunStatus): Set<RunStatus> {
  const seen = new Set<RunStatus>([start]);
  for (const status of seen) {
    for (const { from, to } of runTransitions) if (from === status) seen.add(to);
  }
  return seen;
}

describe('the life of a run', () => {
  it('reaches every state from a submitted run', () => {
    expect([...reachableFrom('queued')].sort()).toEqual([...runStatuses].sort());
  });

  it('begins with a submitted run that is queued', () => {
    const births = runTransitions.filter(({ from }) => from === null);
    expect(births.map(({ trigger, to }) => `${trigger} → ${to}`)).toEqual(['submitted → queued']);
  });

  it('never leaves a terminal state', () => {
    const resurrections = runTransitions.filter(({ from }) => from !== null && isTerminal(from));
    expect(resurrections).toEqual([]);
  });

  it('can end from every state that is not terminal', () => {
    const stuck = runStatuses.filter((from) => ![...reachableFrom(from)].some(isTerminal));
    expect(stuck).toEqual([]);
  });

  it('can be cancelled in every state that is not terminal', () => {
    const cancellable = runStatuses.filter((from) => findTransition(from, 'cancelled'));
    expect(cancellable).toEqual(runStatuses.filter((status) => !isTerminal(status)));
  });

  it('is led by a trigger to one state only', () => {
    const pairs = runTransitions.map(({ from, trigger }) => `${from} ${trigger}`);
    expect(new Set(pairs).size).toBe(pairs.length);
  });

  it('is failed, needs_review or completed for good reasons only: never by a lost lease or a wait', () => {
    const harmless = ['lease_lost', 'released', 'lane_paused', 'has_to_wait', 'will_retry'];
    const ends = runTransitions.filter(({ trigger }) => harmless.includes(trigger));
    expect(ends.every(({ to }) => to === 'queued' || to === 'retrying')).toBe(true);
  });

  it('tells the world of every change of state but the submission, which the caller knows of', () => {
    const silent = runTransitions.filter(({ from, to, event }) => from !== to && event === null);
    expect(silent.map(({ trigger }) => trigger)).toEqual(['submitted']);
  });

  it('names the event after the state that it leads to', () => {
    const statusOf: Record<string, readonly RunStatus[]> = {
      RunQueued: ['queued'],
      RunWaiting: ['queued'],
      RunStarted: ['running'],
      RunProgressed: ['running'],
      RunRetryScheduled: ['retrying'],
      RunNeedsReview: ['needs_review'],
      RunCompleted: ['completed'],
      RunFailed: ['failed'],
      RunCancelled: ['cancelled'],
    };
    for (const { event, to } of runTransitions) {
      if (event !== null) expect({ event, to }).toEqual({ event, to: statusOf[event]?.[0] });
    }
  });
});

describe('mayFollow', () => {
  it('says yes exactly where some trigger leads there', () => {
    fc.assert(
      fc.property(anyStatus, anyStatus, (from, to) => {
        const triggers = runTransitions.map(({ trigger }) => trigger);
        const leads = triggers.some((trigger) => findTransition(from, trigger)?.to === to);
        expect(mayFollow(from, to)).toBe(leads);
      }),
    );
  });
});
