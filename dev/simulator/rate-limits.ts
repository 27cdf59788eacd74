/**
 * OpenAI's rate limits: two buckets, of requests and of tokens, that refill continuously, hold one window's worth, and turn away
 * what does not fit. Each answer tells what is left and how long until it is *full*. The limits can be changed while it runs,
 * and the window is a minute only by default: in a shorter one the same happens quicker.
 */
import { countTokens } from './check-request.js';

export interface LimitOrder {
  /** In the window. */
  readonly requests: number;
  readonly tokens: number;
  /** Default one minute. */
  readonly windowMs?: number;
}

/** Where nothing is ordered: an account whose limits nobody meets. */
const HIGH: LimitOrder = { requests: 6_000_000, tokens: 60_000_000_000 };
const MINUTE_MS = 60_000;

export interface Spending {
  readonly headers: Readonly<Record<string, string>>;
  /** In OpenAI's words; null: it fits. */
  readonly refusal: string | null;
}

export class RateLimits {
  #requests = bucketOf(HIGH, 'requests');
  #tokens = bucketOf(HIGH, 'tokens');

  /** null: none that anybody meets. What a bucket has is kept, as far as it fits. */
  order(order: LimitOrder | null): void {
    const before = { requests: this.#requests, tokens: this.#tokens };
    this.#requests = bucketOf(order ?? HIGH, 'requests', before.requests);
    this.#tokens = bucketOf(order ?? HIGH, 'tokens', before.tokens);
  }

  /** Counts what goes in or what may come out, whichever is more. What is turned away takes nothing. */
  spend(model: string, input: string, maxOutputTokens: number, nowMs: number): Spending {
    const wanted = Math.max(countTokens(input), maxOutputTokens);
    this.#requests.refill(nowMs);
    this.#tokens.refill(nowMs);
    const waitMs = Math.max(this.#requests.untilHas(1), this.#tokens.untilHas(wanted));
    if (waitMs === 0) {
      this.#requests.take(1);
      this.#tokens.take(wanted);
      return { headers: this.#headers(), refusal: null };
    }
    const isRequests = this.#requests.untilHas(1) > 0;
    const bucket = isRequests ? this.#requests : this.#tokens;
    const [what, amount] = isRequests
      ? ['requests per min (RPM)', 1]
      : ['tokens per min (TPM)', wanted];
    if (amount > bucket.limit)
      return {
        headers: this.#headers(),
        refusal: `Request too large for ${model} on ${what}: Limit ${bucket.limit}, Requested ${amount}.`,
      };
    return {
      headers: {
        ...this.#headers(),
        'retry-after-ms': String(Math.ceil(waitMs)),
        'retry-after': String(Math.ceil(waitMs / 1_000)),
      },
      refusal: `Rate limit reached for ${model} on ${what}: Limit ${bucket.limit}, Used ${bucket.limit - bucket.remaining}, Requested ${amount}. Please try again in ${goDuration(waitMs)}.`,
    };
  }

  #headers(): Record<string, string> {
    return {
      'x-ratelimit-limit-requests': String(this.#requests.limit),
      'x-ratelimit-limit-tokens': String(this.#tokens.limit),
      'x-ratelimit-remaining-requests': String(this.#requests.remaining),
      'x-ratelimit-remaining-tokens': String(this.#tokens.remaining),
      'x-ratelimit-reset-requests': this.#requests.untilFull,
      'x-ratelimit-reset-tokens': this.#tokens.untilFull,
    };
  }
}

/** Parses the control route's body; an order with a mistake must fail loudly. */
export function parseLimitOrder(body: unknown): LimitOrder {
  const {
    requests,
    tokens,
    windowMs = MINUTE_MS,
  } = (body ?? {}) as Partial<Record<string, unknown>>;
  const areNumbers = [requests, tokens, windowMs].every(
    (value) => typeof value === 'number' && Number.isFinite(value) && value >= 1,
  );
  if (!areNumbers)
    throw new LimitOrderError('requests, tokens and windowMs must be numbers from 1');
  return { requests: Number(requests), tokens: Number(tokens), windowMs: Number(windowMs) };
}

export class LimitOrderError extends Error {
  readonly code = 'limit_order_invalid';
}

function bucketOf(order: LimitOrder, kind: 'requests' | 'tokens', before?: Bucket): Bucket {
  return new Bucket(order[kind], order.windowMs ?? MINUTE_MS, before);
}

class Bucket {
  #level: number;
  #atMs: number | null;

  constructor(
    readonly limit: number,
    private readonly windowMs: number,
    before?: Bucket,
  ) {
    this.#level = Math.min(limit, before === undefined ? limit : before.#level);
    this.#atMs = before === undefined ? null : before.#atMs;
  }

  refill(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - (this.#atMs ?? nowMs));
    this.#level = Math.min(this.limit, this.#level + (passedMs / this.windowMs) * this.limit);
    this.#atMs = nowMs;
  }

  take(amount: number): void {
    this.#level -= amount;
  }

  untilHas(amount: number): number {
    return (Math.max(0, amount - this.#level) / this.limit) * this.windowMs;
  }

  get remaining(): number {
    return Math.floor(this.#level);
  }

  get untilFull(): string {
    return goDuration(this.untilHas(this.limit));
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
