import { preferredWaitSeconds } from './prefer-wait.js';

describe('the wait of a Prefer header', () => {
  it.each([
    ['wait=20', 20],
    ['wait=0', 0],
    ['WAIT = 5', 5],
    ['wait="7"', 7],
    ['respond-async, wait=10', 10],
    ['wait=10; foo="a, wait=3"', 10],
    ['foo="x, wait=3", wait=4', 4],
    ['foo; bar="wait=3;wait=2", wait=4', 4],
    ['wait=60', 60],
    ['wait=61', 60],
    [`wait=${'9'.repeat(400)}`, 60],
    ['wait=3, wait=9', 3],
  ])('%s is %d s', (header, seconds) => {
    expect(preferredWaitSeconds(header)).toBe(seconds);
  });

  it.each([undefined, '', 'wait', 'wait=', 'wait=-1', 'wait=1.5', 'wait=ten', 'wait=x, wait=9'])(
    '%s asks for none',
    (header) => expect(preferredWaitSeconds(header)).toBeUndefined(),
  );

  it('joins what came in several headers', () => {
    expect(preferredWaitSeconds(['respond-async', 'wait=8'])).toBe(8);
  });

  it('reads a header of quotes at a cost that grows with its length, and no faster', () => {
    const [long, short] = [costUsOf(32_000, 20), costUsOf(4_000, 160)]; // as many quotes
    expect(long).toBeLessThan(3 * short); // the square would be eight times as much
  });
});

/**
 * CPU time of this thread for so many reads; the least of three, as a busy machine and the compiler add to it. The kernel counts it in
 * ticks of some ms, so one read alone would be measured as anything from nothing.
 */
function costUsOf(quotes: number, reads: number): number {
  const header = '"\\'.repeat(quotes);
  const costs = Array.from({ length: 3 }, () => {
    const before = process.threadCpuUsage();
    for (let read = 0; read < reads; read += 1)
      expect(preferredWaitSeconds(header)).toBeUndefined();
    const { user, system } = process.threadCpuUsage(before);
    return user + system;
  });
  return Math.min(...costs);
}
