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

  it('reads a long header of quotes in no time', () => {
    const startedAt = performance.now();
    expect(preferredWaitSeconds('"\\'.repeat(8_000))).toBeUndefined();
    expect(performance.now() - startedAt).toBeLessThan(200);
  });
});
