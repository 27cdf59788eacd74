/**
 * What OpenAI has told a process since the fleet was told last: it travels with the next ask.
 * A wait that OpenAI asks for is a minimum, but no header shuts a pool for longer than ten minutes: then one call asks again.
 */
import type { Ask } from './limit-buckets.store.js';
import type { LimitHeaders } from './read-limit-headers.js';

type Told = Pick<Ask, 'told' | 'holdMs' | 'overloadedAgoMs'>;

const LONGEST_HOLD_MS = 600_000;
/** Where it does not say for how long. */
const USUAL_HOLD_MS = 1_000;
const nothing: LimitHeaders = {
  limitRequests: null,
  limitTokens: null,
  leftRequests: null,
  leftTokens: null,
};

export class Tidings {
  /** Monotonic times. */
  #headers = nothing;
  #heldUntilMs: number | null = null;
  #overloadedAtMs: number | null = null;

  /** The newest answer counts; what it does not say stays. */
  said(headers: LimitHeaders): void {
    this.#headers = {
      limitRequests: headers.limitRequests ?? this.#headers.limitRequests,
      limitTokens: headers.limitTokens ?? this.#headers.limitTokens,
      leftRequests: headers.leftRequests ?? this.#headers.leftRequests,
      leftTokens: headers.leftTokens ?? this.#headers.leftTokens,
    };
  }

  /** The bucket held something by our count, and OpenAI says that it is empty. @returns how long to hold */
  throttled(retryAfterMs: number | null): number {
    const holdMs = Math.min(LONGEST_HOLD_MS, Math.max(0, retryAfterMs ?? USUAL_HOLD_MS));
    this.#heldUntilMs = Math.max(this.#heldUntilMs ?? -Infinity, performance.now() + holdMs);
    const { leftRequests, leftTokens } = this.#headers;
    const isSaid = leftRequests === 0 || leftTokens === 0;
    if (!isSaid) this.#headers = { ...this.#headers, leftRequests: 0, leftTokens: 0 };
    return holdMs;
  }

  /** @param sentAtMs of the call that found it so: the newest counts */
  overloaded(sentAtMs: number): void {
    this.#overloadedAtMs = Math.max(this.#overloadedAtMs ?? -Infinity, sentAtMs);
  }

  take(nowMs: number): Told {
    const told: Told = {
      told: this.#headers,
      holdMs: this.#heldUntilMs === null ? null : Math.max(0, this.#heldUntilMs - nowMs),
      overloadedAgoMs: this.#overloadedAtMs === null ? null : nowMs - this.#overloadedAtMs,
    };
    this.#headers = nothing;
    this.#heldUntilMs = null;
    this.#overloadedAtMs = null;
    return told;
  }

  /** What was taken has not arrived; newer tidings stay. */
  notTold({ told, holdMs, overloadedAgoMs }: Told, takenAtMs: number): void {
    const newer = this.#headers;
    this.#headers = told;
    this.said(newer);
    if (holdMs !== null)
      this.#heldUntilMs = Math.max(this.#heldUntilMs ?? -Infinity, takenAtMs + holdMs);
    if (overloadedAgoMs !== null) this.overloaded(takenAtMs - overloadedAgoMs);
  }
}
