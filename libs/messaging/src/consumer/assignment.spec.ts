import fc from 'fast-check';
import { Assignment } from './assignment.js';

const joins = fc.array(
  fc.record({
    memberId: fc.constantFrom('member-1', 'member-2'),
    partitions: fc.uniqueArray(fc.nat({ max: 5 })),
  }),
  { maxLength: 15 },
);

describe('the assignment', () => {
  it('keeps a partition exactly while the same member owns it without a break, and says of every other that it is lost', () => {
    fc.assert(
      fc.property(joins, (history) => {
        const assignment = new Assignment();
        let before = { memberId: '', states: new Map<number, ReturnType<Assignment['find']>>() };
        for (const { memberId, partitions } of history) {
          assignment.take(memberId, { topic: partitions });
          const states = new Map(partitions.map((each) => [each, assignment.find('topic', each)]));
          for (const [partition, state] of states) {
            const keepable =
              memberId === before.memberId ? before.states.get(partition) : undefined;
            if (keepable) expect(state).toBe(keepable);
            else expect([...before.states.values()]).not.toContain(state);
            expect(state?.lost.aborted).toBe(false);
          }
          for (const state of before.states.values()) {
            expect(state?.lost.aborted).toBe(![...states.values()].includes(state));
          }
          before = { memberId, states };
        }
        expect(assignment.epoch).toBe(history.length);
      }),
    );
  });

  it('knows nothing of partitions that it does not own', () => {
    const assignment = new Assignment();
    assignment.take('member-1', { topic: [0, 1] });
    assignment.take('member-1', { topic: [1] });
    expect(assignment.find('topic', 0)).toBeUndefined();
    expect(assignment.partitions.map(({ partition }) => partition)).toEqual([1]);
  });
});
