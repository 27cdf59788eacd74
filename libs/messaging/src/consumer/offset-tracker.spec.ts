import fc from 'fast-check';
import { OffsetTracker } from './offset-tracker.js';

const range = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => BigInt(from + index));

/** A log of batches with gaps (control records, compaction), and an order in which records settle. */
const histories = fc
  .array(fc.record({ size: fc.integer({ min: 1, max: 5 }), gap: fc.integer({ min: 0, max: 2 }) }), {
    minLength: 1,
    maxLength: 12,
  })
  .chain((shapes) => {
    let next = 100n;
    const batches = shapes.map(({ size, gap }) => {
      const offsets = range(0, size).map((index) => next + index);
      const last = next + BigInt(size + gap) - 1n;
      next = last + 1n;
      return { offsets, last };
    });
    const all = batches.flatMap(({ offsets }) => offsets);
    return fc.record({
      batches: fc.constant(batches),
      settleOrder: fc.shuffledSubarray(all, { minLength: 0, maxLength: all.length }),
    });
  });

describe('the offset tracker', () => {
  it('never commits past an unsettled record, never backwards, and everything once all is settled', () => {
    fc.assert(
      fc.property(histories, ({ batches, settleOrder }) => {
        const tracker = new OffsetTracker();
        for (const { offsets, last } of batches) tracker.accept(offsets, last);
        const all = batches.flatMap(({ offsets }) => offsets);
        const settled = new Set<bigint>();
        let before = 0n;
        for (const offset of settleOrder) {
          tracker.settle(offset);
          settled.add(offset);
          const position = tracker.toCommit() ?? before;
          expect(all.filter((each) => each < position).every((each) => settled.has(each))).toBe(
            true,
          );
          expect(position).toBeGreaterThanOrEqual(before);
          tracker.committed(position);
          before = position;
        }
        for (const offset of all) tracker.settle(offset);
        expect(tracker.unsettled).toBe(0);
        expect(tracker.position).toBe((batches.at(-1)?.last ?? 0n) + 1n);
      }),
    );
  });

  it('hands over each offset once, however often a rejoin brings it again', () => {
    fc.assert(
      fc.property(histories, fc.array(fc.nat({ max: 11 })), ({ batches, settleOrder }, rewinds) => {
        const tracker = new OffsetTracker();
        const handed: bigint[] = [];
        batches.forEach((batch, index) => {
          handed.push(...tracker.accept(batch.offsets, batch.last));
          const from = rewinds[index];
          if (from === undefined || from > index) return;
          for (const again of batches.slice(from, index + 1)) {
            handed.push(...tracker.accept(again.offsets, again.last));
          }
          for (const offset of settleOrder.slice(0, index)) tracker.settle(offset);
        });
        expect(handed).toEqual(batches.flatMap(({ offsets }) => offsets));
      }),
    );
  });

  it('commits the end of a batch and not its last message, for control records leave gaps', () => {
    const tracker = new OffsetTracker();
    tracker.accept([10n, 11n], 12n);
    tracker.settle(10n);
    expect(tracker.toCommit()).toBe(11n);
    tracker.settle(11n);
    expect(tracker.toCommit()).toBe(13n);
  });

  it('has nothing to commit before anything is settled, nor twice', () => {
    const tracker = new OffsetTracker();
    tracker.accept([10n, 11n], 11n);
    expect(tracker.toCommit()).toBeNull();
    tracker.settle(10n);
    tracker.committed(11n);
    expect(tracker.toCommit()).toBeNull();
  });

  it('ignores a record settled twice or never handed over', () => {
    const tracker = new OffsetTracker();
    tracker.accept([10n, 11n], 11n);
    tracker.settle(10n);
    tracker.settle(10n);
    tracker.settle(99n);
    expect(tracker.unsettled).toBe(1);
    expect(tracker.toCommit()).toBe(11n);
  });
});
