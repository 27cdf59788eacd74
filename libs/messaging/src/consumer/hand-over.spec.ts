import { DelayedHandOver } from './hand-over.js';

describe('delayed hand-over', () => {
  it('releases at the due time and not before, by the clock it was given', async () => {
    const start = Date.now();
    const released: { item: string; early: boolean }[] = [];
    const done = Promise.withResolvers<void>();
    const dueAtMs = { c: start + 60, a: start + 20, b: start + 40 };
    const handOver = new DelayedHandOver<'a' | 'b' | 'c'>((item) => {
      released.push({ item, early: Date.now() < dueAtMs[item] });
      if (released.length === 3) done.resolve();
    }, Date.now);
    for (const item of ['c', 'a', 'b'] as const) handOver.push(item, dueAtMs[item]);
    expect(released).toEqual([]);
    await done.promise;
    expect(released).toEqual(['a', 'b', 'c'].map((item) => ({ item, early: false })));
  });

  it('waits on when its timer fires before the clock says so', async () => {
    let nowMs = 1_000;
    const released: string[] = [];
    const handOver = new DelayedHandOver<string>(
      (item) => released.push(item),
      () => nowMs,
    );
    handOver.push('x', 1_010);
    await new Promise((resolve) => setTimeout(resolve, 40)); // The timer fires; this clock stands still.
    expect(released).toEqual([]);
    nowMs = 1_010;
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(released).toEqual(['x']);
  });

  it('hands thousands that are due together over in turns, in order, and lets others in between', async () => {
    const released: number[] = [];
    const handOver = new DelayedHandOver<number>((item) => released.push(item), Date.now);
    for (let item = 0; item < 1_000; item += 1) handOver.push(item, 0);
    const seen: number[] = [];
    while (released.length < 1_000) {
      await new Promise((resolve) => setImmediate(resolve));
      if (released.length !== seen.at(-1)) seen.push(released.length);
    }
    expect(seen.length).toBeGreaterThanOrEqual(4);
    expect(released).toEqual(Array.from({ length: 1_000 }, (_, item) => item));
  });

  it('forgets what belongs to a lost partition', async () => {
    const released: string[] = [];
    const handOver = new DelayedHandOver<string>((item) => released.push(item), Date.now);
    handOver.push('lost', Date.now() + 10);
    handOver.push('kept', Date.now() + 10);
    handOver.forget((item) => item === 'lost');
    expect(handOver.waiting).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(released).toEqual(['kept']);
  });
});
