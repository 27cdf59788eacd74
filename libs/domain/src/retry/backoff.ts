/** Exponential growth with a ceiling. */
export interface Backoff {
  readonly firstDelayMs: number;
  readonly factor: number;
  readonly maxDelayMs: number;
}

/** The ceiling of the `tries`-th wait (1-based): `firstDelayMs · factor^(tries − 1)`, at most `maxDelayMs`. */
export function backoffCeilingMs(backoff: Backoff, tries: number): number {
  const grown = backoff.firstDelayMs * backoff.factor ** (Math.max(1, tries) - 1);
  return Math.min(backoff.maxDelayMs, grown);
}

/**
 * "Full jitter": uniform between 0 and the ceiling, so that callers that failed together do not come back together.
 * Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 *
 * @param random uniform in [0, 1)
 */
export function fullJitterMs(backoff: Backoff, tries: number, random: number): number {
  return Math.floor(random * backoffCeilingMs(backoff, tries));
}
