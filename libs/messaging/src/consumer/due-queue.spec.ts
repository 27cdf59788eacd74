import fc from 'fast-check';
import { DueQueue } from './due-queue.js';

const entries = fc.array(fc.record({ dueAtMs: fc.nat({ max: 50 }), drop: fc.boolean() }), {
  maxLength: 60,
});

describe('the due queue', () => {
  it('gives everything once, by due time, equal times as they came, and nothing early', () => {
    fc.assert(
      fc.property(entries, fc.array(fc.nat({ max: 60 })), (items, moments) => {
        const queue = new DueQueue<number>();
        items.forEach(({ dueAtMs }, index) => queue.push(dueAtMs, index));
        const taken: number[] = [];
        for (const nowMs of [...moments].sort((a, b) => a - b)) {
          const few = queue.takeDue(nowMs, 3);
          expect(few.length).toBeLessThanOrEqual(3);
          const due = [...few, ...queue.takeDue(nowMs)];
          for (const index of due) expect(items[index]?.dueAtMs).toBeLessThanOrEqual(nowMs);
          taken.push(...due);
          expect(queue.nextDueAtMs() ?? Infinity).toBeGreaterThan(nowMs);
        }
        taken.push(...queue.takeDue(Infinity));
        const byDue = items.map((item, index) => ({ ...item, index }));
        byDue.sort((a, b) => a.dueAtMs - b.dueAtMs || a.index - b.index);
        expect(taken).toEqual(byDue.map(({ index }) => index));
      }),
    );
  });

  it('forgets what is removed and keeps the order of the rest', () => {
    fc.assert(
      fc.property(entries, (items) => {
        const queue = new DueQueue<number>();
        items.forEach(({ dueAtMs }, index) => queue.push(dueAtMs, index));
        queue.removeWhere((index) => items[index]?.drop === true);
        const kept = items.map((item, index) => ({ ...item, index })).filter(({ drop }) => !drop);
        kept.sort((a, b) => a.dueAtMs - b.dueAtMs || a.index - b.index);
        expect(queue.takeDue(Infinity)).toEqual(kept.map(({ index }) => index));
      }),
    );
  });
});
