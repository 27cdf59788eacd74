/** The fleet's limits as a gate: a call enters when its model pool has room for it, over all processes and fairly over tenants. */
import type { CallGate, CallPass, Entrance, GateCall, Overflow } from '../gate/call-gate.js';
import { LimitedPool, type PoolParts, type Room } from './limited-pool.js';
import { poolOf, type PoolLimits } from './pool-limits.js';

/** What a pool looks like from this process. */
export interface PoolFacts {
  readonly pool: string;
  /** Calls of this process that wait for their turn. */
  readonly waiting: number;
  /** Those that it has on their way. */
  readonly inFlight: number;
}

export class FleetLimits implements CallGate {
  readonly #pools = new Map<string, LimitedPool>();

  constructor(
    private readonly limits: readonly PoolLimits[],
    private readonly parts: PoolParts,
  ) {
    limits.forEach((each) => this.#poolFor(each));
  }

  tryEnter(call: GateCall): CallPass | null {
    return this.#poolOf(call).tryEnter(call);
  }

  enter(call: GateCall, signal: AbortSignal, overflow?: Overflow): Promise<Entrance> {
    return this.#poolOf(call).enter(call, signal, overflow);
  }

  /** Has a pool for every account of these routes, called before or not: what they can take is counted on. */
  know(routes: ReadonlyMap<string, readonly string[]>): void {
    for (const [model, route] of routes)
      for (const account of route)
        this.#poolFor(poolOf(this.limits, { account, model, tier: 'default' }));
  }

  /** For claims: what each pool that is set, or was used, can take. */
  rooms(): readonly Room[] {
    return [...this.#pools.values()].map((pool) => pool.room());
  }

  facts(): readonly PoolFacts[] {
    return [...this.#pools.values()].map(({ limits, waiting, inUse }) => ({
      ...{ pool: limits.pool, waiting, inFlight: inUse },
    }));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.close()));
  }

  #poolOf({ account, model, tier }: GateCall): LimitedPool {
    return this.#poolFor(poolOf(this.limits, { account, model, tier }));
  }

  #poolFor(limits: PoolLimits): LimitedPool {
    const key = JSON.stringify([limits.account, limits.pool, limits.tier]);
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    const pool = new LimitedPool(limits, this.parts);
    this.#pools.set(key, pool);
    return pool;
  }
}
