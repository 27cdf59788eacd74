/**
 * How long OpenAI asks us to wait, in milliseconds, in every form it says so. Null where it says nothing that can be believed:
 * negative, unparsable and infinite values are ignored, never taken for zero, and so is what is longer than a day: no limit of
 * OpenAI's is, and a run must not be given up for a mistake in a header.
 *
 * `retry-after-ms: 1500` · `Retry-After: 20` or `1.5` or an HTTP date (RFC 9110, 10.2.3) · `x-ratelimit-reset-…: 6m0s` of
 * a limit that is used up · "Please try again in 1.898s" in the message.
 */
export function readRetryAfterMs(headers: Headers, nowMs: number): number | null {
  const value = headers.get('retry-after');
  return (
    believable(readNumber(headers.get('retry-after-ms'))) ??
    believable(readNumber(value), 1_000) ??
    (value !== null && isHttpDate(value)
      ? believable(Math.max(0, Date.parse(value) - nowMs))
      : null)
  );
}

const longestMs = 24 * 3_600_000;

/** Rounded up: a wait is a minimum. */
function believable(amount: number | null, unitMs = 1): number | null {
  const ms = Math.ceil((amount ?? NaN) * unitMs);
  return ms <= longestMs ? ms : null;
}

/** The longest reset among the limits that have nothing left; else what the message says. */
export function readRateLimitWaitMs(headers: Headers, message: string): number | null {
  const resets = ['requests', 'tokens']
    .filter((limit) => isUsedUp(headers.get(`x-ratelimit-remaining-${limit}`)))
    .map((limit) => believable(parseGoDurationMs(headers.get(`x-ratelimit-reset-${limit}`) ?? '')))
    .filter((ms) => ms !== null);
  if (resets.length > 0) return Math.max(...resets);
  const said = /try again in ((?:\d+(?:\.\d+)?(?:h|ms|m|s))+)/i.exec(message)?.[1];
  return said === undefined ? null : believable(parseGoDurationMs(said));
}

/** `6m0s`, `12ms`, `18.642s`, `1h2m3s`. Rounded up: a wait is a minimum. */
export function parseGoDurationMs(text: string): number | null {
  if (!/^(?:\d+(?:\.\d+)?(?:h|ms|m|s|us|µs|ns))+$/.test(text)) return null;
  let total = 0;
  for (const [, amount = '', unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/g))
    total += Number(amount) * (unitMs[unit] ?? NaN);
  return Number.isFinite(total) ? Math.ceil(total) : null;
}

const unitMs: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
  us: 0.001,
  µs: 0.001,
  ns: 0.000_001,
};

function readNumber(value: string | null): number | null {
  if (value === null || !/^\d+(\.\d+)?$/.test(value.trim())) return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
}

const isUsedUp = (remaining: string | null): boolean => readNumber(remaining) === 0;

/** `Sun, 06 Nov 1994 08:49:37 GMT`, or the two obsolete forms; not whatever else Date.parse takes. */
const isHttpDate = (value: string): boolean =>
  /^[A-Z][a-z]{2,8},? .*\d{2}:\d{2}:\d{2}/.test(value) && !Number.isNaN(Date.parse(value));
