/**
 * How a lane comes back: one call alone, then 2, 4, 8 … at once, until it is as wide as ever. Pure but for its own count.
 *
 * (R1) At no time are more calls under way than the level allows, whoever presses.
 * (R2) The level doubles when as many calls as it allows have gone well, and not sooner than `stepMs` after it was reached: quick
 *      answers make no stampede.
 */
export interface RampPolicy {
  /** Default 1,000. */
  readonly stepMs: number;
  /** The level past which there is no limit any more. Default 64. */
  readonly fullAt: number;
}

/** When the first call has gone well: OpenAI took it, or it came to its end. */
export type CanaryProof = 'answered' | 'completed';

export class Ramp {
  #level = 1;
  #proven = 0;
  #underWay = 0;

  /** @param sinceMs monotonic */
  constructor(
    private readonly policy: RampPolicy,
    private readonly canaryProof: CanaryProof,
    private sinceMs: number,
  ) {}

  /** How many more may enter now. */
  room(nowMs: number): number {
    this.#grow(nowMs);
    return this.isOver ? Infinity : Math.max(0, this.#level - this.#underWay);
  }

  /** Who enters now decides whether the lane comes back. */
  get isCanary(): boolean {
    return this.#level === 1;
  }

  /** Once true, for good. */
  get isOver(): boolean {
    return this.#level > this.policy.fullAt;
  }

  /** (R1) */
  tryEnter(nowMs: number): boolean {
    if (this.room(nowMs) === 0) return false;
    this.#underWay += 1;
    return true;
  }

  answered(nowMs: number): void {
    if (this.#level > 1 || this.canaryProof === 'answered') this.#prove(nowMs);
  }

  completed(nowMs: number): void {
    if (this.#level === 1 && this.canaryProof === 'completed') this.#prove(nowMs);
  }

  left(): void {
    this.#underWay -= 1;
  }

  #prove(nowMs: number): void {
    this.#proven += 1;
    this.#grow(nowMs);
  }

  /** (R2) */
  #grow(nowMs: number): void {
    if (this.#proven < this.#level || nowMs - this.sinceMs < this.policy.stepMs) return;
    this.#level *= 2;
    this.#proven = 0;
    this.sinceMs = nowMs;
  }
}
