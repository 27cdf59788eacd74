/** What OpenAI says of a pool's limits, in the answers to its calls: it holds here at once, and is noted for the fleet. */
import type { Metrics } from '#libs/metrics';
import type { FieldLog } from '#libs/process';
import type { CallFailure } from '../model-call.js';
import type { PoolLimits } from './pool-limits.js';
import { readLimitHeaders } from './read-limit-headers.js';
import type { ShareInHand } from './share-in-hand.js';
import { Tidings } from './tidings.js';

export class PoolEars {
  /** For the next ask. */
  readonly tidings = new Tidings();

  constructor(
    private readonly limits: PoolLimits,
    private readonly share: ShareInHand,
    private readonly parts: { readonly log: FieldLog; readonly metrics: Metrics },
  ) {}

  /** @returns whether they say less than we thought, so that the fleet should know soon */
  learn(headers: Headers): boolean {
    const said = readLimitHeaders(headers);
    this.tidings.said(said);
    const isLower = this.share.correct(said);
    if (isLower) this.#count('limit_lowered');
    return isLower;
  }

  /** @returns whether it is about our limits */
  hear(failure: CallFailure, enteredAtMs: number): boolean {
    const { log } = this.parts;
    const { account, pool } = this.limits;
    const { code } = failure;
    if (failure.class === 'overloaded') {
      this.tidings.overloaded(enteredAtMs);
      this.#count('overloaded');
      log.warn({ account, pool, code }, 'OpenAI is overloaded; asking for less');
      return true;
    }
    if (failure.class !== 'throttled') return false;
    const holdMs = this.tidings.throttled(failure.retryAfterMs);
    this.share.hold(holdMs);
    this.#count('throttled');
    const fields = { account, pool, code, retryAfterMs: holdMs };
    log.warn(fields, 'OpenAI throttles; holding the pool');
    return true;
  }

  #count(kind: string): void {
    const { pool } = this.limits;
    this.parts.metrics.add('holdfast_limit_corrections_total', { pool, kind });
  }
}
