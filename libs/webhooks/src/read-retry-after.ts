/** `Retry-After: 20`, or an HTTP date (RFC 9110, 10.2.3). Null where it says nothing that can be read. */
export function readRetryAfterMs(
  header: string | string[] | undefined,
  nowMs: number,
): number | null {
  const value = typeof header === 'string' ? header.trim() : '';
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000;
  const isDate = /^[A-Z][a-z]{2,8},? .*\d{2}:\d{2}:\d{2}/.test(value);
  const atMs = isDate ? Date.parse(value) : Number.NaN;
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs);
}
