/**
 * OpenAI's rate-limit headers, true to a bucket that refills continuously: what is left now, and the time until it is *full*
 * as a Go duration. The simulator only reports; refusing is done by script.
 */
import { countTokens } from './check-request.js';

const requestsPerMinute = 5_000;
const tokensPerMinute = 4_000_000;

export class RateLimits {
  readonly #requests = new Bucket(requestsPerMinute);
  readonly #tokens = new Bucket(tokensPerMinute);

  spend(input: string, maxOutputTokens: number, nowMs: number): Record<string, string> {
    this.#requests.take(1, nowMs);
    this.#tokens.take(Math.max(countTokens(input), maxOutputTokens), nowMs);
    return {
      'x-ratelimit-limit-requests': String(requestsPerMinute),
      'x-ratelimit-limit-tokens': String(tokensPerMinute),
      'x-ratelimit-remaining-requests': String(this.#requests.remaining),
      'x-ratelimit-remaining-tokens': String(this.#tokens.remaining),
      'x-ratelimit-reset-requests': this.#requests.untilFull,
      'x-ratelimit-reset-tokens': this.#tokens.untilFull,
    };
  }
}

class Bucket {
  #level: number;
  #atMs = 0;

  constructor(readonly perMinute: number) {
    this.#level = perMinute;
  }

  take(amount: number, nowMs: number): void {
    const refill = (Math.max(0, nowMs - this.#atMs) / 60_000) * this.perMinute;
    this.#level = Math.max(0, Math.min(this.perMinute, this.#level + refill) - amount);
    this.#atMs = nowMs;
  }

  get remaining(): number {
    return Math.floor(this.#level);
  }

  get untilFull(): string {
    return goDuration(((this.perMinute - this.#level) / this.perMinute) * 60_000);
  }
}

/** `12ms`, `18.642s`, `6m0s`: the form OpenAI's reset headers have. */
export function goDuration(ms: number): string {
  const whole = Math.ceil(ms);
  if (whole < 1_000) return `${whole}ms`;
  const minutes = Math.floor(whole / 60_000);
  const seconds = (whole % 60_000) / 1_000;
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds}s`;
}
