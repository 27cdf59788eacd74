import { Wakeup } from './wakeup.js';

const never = new AbortController().signal;

describe('the wake-up', () => {
  it('ends a wait at a hint', async () => {
    const wakeup = new Wakeup();
    const waiting = wakeup.wait(60_000, never);
    wakeup.hint();
    await waiting;
  });

  it('remembers a hint that came while nobody waited, once', async () => {
    const wakeup = new Wakeup();
    wakeup.hint();
    await wakeup.wait(60_000, never);
    const start = performance.now();
    await wakeup.wait(30, never);
    expect(performance.now() - start).toBeGreaterThan(20);
  });

  it('ends when its caller stops', async () => {
    const stop = new AbortController();
    const waiting = new Wakeup().wait(60_000, stop.signal);
    stop.abort();
    await waiting;
  });
});
