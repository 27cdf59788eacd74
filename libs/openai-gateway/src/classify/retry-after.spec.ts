import fc from 'fast-check';
import { parseGoDurationMs, readRateLimitWaitMs, readRetryAfterMs } from './retry-after.js';

const now = Date.parse('2026-11-24T12:00:00Z');
const headers = (values: Record<string, string>) => new Headers(values);

describe('Retry-After', () => {
  it.each([
    [{ 'retry-after-ms': '1500' }, 1_500],
    [{ 'retry-after-ms': '1500', 'retry-after': '20' }, 1_500],
    [{ 'retry-after': '20' }, 20_000],
    [{ 'retry-after': '0.25' }, 250],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': '86400' }, 86_400_000],
    [{ 'retry-after': 'Tue, 24 Nov 2026 12:01:00 GMT' }, 60_000],
    [{ 'retry-after': 'Tue, 24 Nov 2026 11:59:00 GMT' }, 0],
    [{ 'retry-after-ms': '-5', 'retry-after': '3' }, 3_000],
    [{ 'retry-after': '-5' }, null],
    [{ 'retry-after': 'soon' }, null],
    [{ 'retry-after': '86401' }, null],
    [{ 'retry-after': '31536000' }, null],
    [{ 'retry-after-ms': '31536000000', 'retry-after': '3' }, 3_000],
    [{ 'retry-after': 'Wed, 24 Nov 2027 12:00:00 GMT' }, null],
    [{ 'retry-after': 'Sat, 24 Nov 275761 12:00:00 GMT' }, null],
    [{ 'retry-after': '1e9' }, null],
    [{ 'retry-after': 'Infinity' }, null],
    [{ 'retry-after': `${'9'.repeat(400)}` }, null],
    [{}, null],
  ])('%j is %s ms', (values, ms) => {
    expect(readRetryAfterMs(headers(values as Record<string, string>), now)).toBe(ms);
  });

  it('is never shorter than what was asked for, and never made up', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 86_399, noNaN: true }), (seconds) => {
        const text = seconds.toFixed(3);
        const ms = readRetryAfterMs(headers({ 'retry-after': text }), now);
        expect(ms).toBeGreaterThanOrEqual(Number(text) * 1_000);
      }),
    );
    fc.assert(
      fc.property(fc.stringMatching(/^[!-~]{0,30}$/), (text) => {
        const values = { 'retry-after': text, 'retry-after-ms': text };
        const waits = [
          readRetryAfterMs(headers(values), now),
          readRateLimitWaitMs(
            headers({ 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': text }),
            `Please try again in ${text}`,
          ),
        ];
        for (const ms of waits) expect(ms === null || (ms >= 0 && ms <= 86_400_000)).toBe(true);
      }),
    );
  });
});

describe('Go durations', () => {
  it.each([
    ['6m0s', 360_000],
    ['12ms', 12],
    ['7m12s', 432_000],
    ['18.642s', 18_642],
    ['1h2m3s', 3_723_000],
    ['0s', 0],
    ['500us', 1],
    ['-3s', null],
    ['3', null],
    ['', null],
    ['s', null],
    ['6m 0s', null],
    ['1d', null],
  ])('%s is %s ms', (text, ms) => {
    expect(parseGoDurationMs(text)).toBe(ms);
  });

  it('reads every duration that is put together from its parts', () => {
    fc.assert(
      fc.property(fc.nat(99), fc.nat(59), fc.nat(59), fc.nat(999), (h, m, s, ms) => {
        expect(parseGoDurationMs(`${h}h${m}m${s}s${ms}ms`)).toBe(
          h * 3_600_000 + m * 60_000 + s * 1_000 + ms,
        );
      }),
    );
  });
});

describe('rate-limit headers and messages', () => {
  it('takes the reset of a limit that is used up, the longest of them', () => {
    const used = (requests: string, tokens: string) =>
      headers({
        'x-ratelimit-remaining-requests': requests,
        'x-ratelimit-remaining-tokens': tokens,
        'x-ratelimit-reset-requests': '2s',
        'x-ratelimit-reset-tokens': '1m30s',
      });
    expect(readRateLimitWaitMs(used('0', '100'), '')).toBe(2_000);
    expect(readRateLimitWaitMs(used('0', '0'), '')).toBe(90_000);
    expect(readRateLimitWaitMs(used('5', '100'), 'Please try again in 20ms.')).toBe(20);
  });

  it.each([
    ['Please try again in 1.898s. Visit …', 1_898],
    ['Please try again in 6m0s.', 360_000],
    ['Please try again in -5s', null],
    ['Please try again in 8760h', null],
    ['Please try again later', null],
    ['', null],
  ])('reads "%s" as %s ms', (message, ms) => {
    expect(readRateLimitWaitMs(headers({}), message)).toBe(ms);
  });
});
