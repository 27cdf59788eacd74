/**
 * Back-pressure: no more runs of a tenant are accepted while too many are unfinished.
 *
 * (U1) A place is taken before anything of a run is stored, and given back where no new run came of it.
 * (U2) The database's count is used for `COUNT_HOLDS_MS`. To it come the places taken since the count began, and those whose
 *      run was not yet committed then: such a run may be counted twice until the next count, but never not at all. So one
 *      process never passes the limit by itself.
 * (U3) Replicas do not see each other's places between two counts: together they may pass the limit by what they accept within
 *      that time. It holds off a flood; it is no quota.
 * (U4) One count at a time per tenant, which reads at most `limit` entries of an index: a flood of refused submits costs what a
 *      few cost, and 100,000 runs cost what `limit` runs cost.
 */
import type { Acceptance } from './accept-runs.store.js';
import type { UnfinishedRunsStore } from './unfinished-runs.store.js';

/** How long a count is used. So long may a place stay taken after its run is done. */
export const COUNT_HOLDS_MS = 200;

/** What is known of one tenant. */
interface Tally {
  used: number;
  /** Places ever taken. */
  taken: number;
  /** Places whose run is being stored at this moment. */
  storing: number;
  countedAtMs: number;
  counting: Promise<void> | undefined;
}

export type Placed = Acceptance | { readonly kind: 'too_many' };

export class UnfinishedRuns {
  private readonly tallies = new Map<string, Tally>();

  constructor(
    private readonly store: Pick<UnfinishedRunsStore, 'count'>,
    /** 0: there is none. */
    readonly limit: number,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** Has the run stored if the tenant has a place for it; else nothing is done. */
  async place(tenant: string, store: () => Promise<Acceptance>): Promise<Placed> {
    if (this.limit === 0) return store();
    const tally = this.tallyOf(tenant);
    if (this.nowMs() - tally.countedAtMs >= COUNT_HOLDS_MS) {
      await (tally.counting ??= this.count(tenant, tally)); // (U4)
    }
    if (tally.used >= this.limit) return { kind: 'too_many' };

    tally.used += 1; // (U1)
    tally.taken += 1;
    tally.storing += 1;
    try {
      const outcome = await store();
      if (outcome.kind === 'key_taken') tally.used -= 1;
      return outcome;
    } finally {
      tally.storing -= 1; // after a fault nobody knows whether the run is stored: the next count tells
    }
  }

  private async count(tenant: string, tally: Tally): Promise<void> {
    const startedAtMs = this.nowMs();
    const { storing, taken } = tally;
    try {
      const counted = await this.store.count(tenant, this.limit);
      tally.used = counted + storing + (tally.taken - taken); // (U2)
      tally.countedAtMs = startedAtMs;
    } finally {
      tally.counting = undefined;
    }
  }

  /** Tenants come from credentials, so there are only so many. */
  private tallyOf(tenant: string): Tally {
    const known = this.tallies.get(tenant);
    if (known) return known;
    const tally = { used: 0, taken: 0, storing: 0, countedAtMs: -Infinity, counting: undefined };
    this.tallies.set(tenant, tally);
    return tally;
  }
}
