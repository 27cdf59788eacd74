import fc from 'fast-check';
import { KeyLanes } from './key-lanes.js';

describe('key lanes', () => {
  it('run the tasks of a lane one after the other and in order, whatever each of them takes', async () => {
    const tasks = fc.array(
      fc.record({ lane: fc.constantFrom('a', 'b', 'c'), ticks: fc.nat({ max: 5 }) }),
      { maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(tasks, async (plan) => {
        const lanes = new KeyLanes();
        const running = new Set<string>();
        const done: number[] = [];
        const all = plan.map(
          ({ lane, ticks }, index) =>
            new Promise<void>((resolve) => {
              lanes.run(lane, async () => {
                expect(running.has(lane)).toBe(false);
                running.add(lane);
                for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
                running.delete(lane);
                done.push(index);
                resolve();
              });
            }),
        );
        await Promise.all(all);
        for (const lane of ['a', 'b', 'c']) {
          const order = done.filter((index) => plan[index]?.lane === lane);
          expect(order).toEqual([...order].sort((a, b) => a - b));
        }
        await new Promise((resolve) => setImmediate(resolve));
        expect(lanes.size).toBe(0);
      }),
    );
  });

  it('do not let one lane wait for another, nor records without a key for each other', () => {
    const lanes = new KeyLanes();
    const started: string[] = [];
    const forever = new Promise<void>(() => undefined);
    for (const [lane, name] of [
      ['a', 'a1'],
      ['a', 'a2'],
      ['b', 'b1'],
      [null, 'n1'],
      [null, 'n2'],
    ] as const) {
      lanes.run(lane, () => {
        started.push(name);
        return forever;
      });
    }
    expect(started).toEqual(['a1', 'b1', 'n1', 'n2']);
  });
});
