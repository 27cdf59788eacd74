import fc from 'fast-check';
import { nextPollMs, readPollAfterMs } from './poll-schedule.js';

const policy = { firstMs: 1_000, maxMs: 10_000 };
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

it('starts at about 1 s, grows by half and stays at about 10 s', () => {
  const planned = [0, 1, 2, 5, 6, 50].map((polls) =>
    nextPollMs({ polls, askedMs: null, random: 0.5 }, policy),
  );
  expect(planned).toEqual([1_000, 1_500, 2_250, 7_593.75, 10_000, 10_000]);
});

it('stays within its bounds whatever the count', () => {
  fc.assert(
    fc.property(fc.nat(), random, (polls, chance) => {
      const ms = nextPollMs({ polls, askedMs: null, random: chance }, policy);
      expect(ms).toBeGreaterThanOrEqual(800);
      expect(ms).toBeLessThanOrEqual(10_000);
    }),
  );
});

it('is never earlier than OpenAI asks for, nor much later', () => {
  fc.assert(
    fc.property(fc.nat(60_000), fc.nat(100), random, (askedMs, polls, chance) => {
      const ms = nextPollMs({ polls, askedMs, random: chance }, policy);
      expect(ms).toBeGreaterThanOrEqual(askedMs);
      expect(ms).toBeLessThanOrEqual(askedMs * 1.2);
    }),
  );
});

it('does not let a header stop the polling of a call that is paid for', () => {
  expect(nextPollMs({ polls: 0, askedMs: 86_400_000, random: 0 }, policy)).toBe(60_000);
});

it.each([
  [{ 'openai-poll-after-ms': '2500', 'retry-after': '9' }, 2_500],
  [{ 'openai-poll-after-ms': 'x', 'retry-after': '9' }, 9_000],
  [{ 'openai-poll-after-ms': '-1' }, null],
  [{}, null],
])('reads %j as %s', (values, ms) => {
  expect(readPollAfterMs(new Headers(values as Record<string, string>), 0)).toBe(ms);
});
