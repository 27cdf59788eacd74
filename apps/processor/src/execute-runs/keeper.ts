/**
 * Keeps the leases of the runs that this process works on.
 *
 * (K1) All leases are renewed in one statement, over an explicit list of (run, fence): a claim that we do not know of, because
 *      the answer to its commit was lost, is not renewed.
 * (K2) A lease counts from before the renewal was sent. When it is older than the lease less a margin, by the monotonic clock,
 *      the work on that run is aborted here, before anybody else can have taken it.
 * (K3) A run that turns out to be somebody else's is aborted at once; not so while its last write is on its way, which gives
 *      the run out of our hands by itself.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FieldLog } from '#libs/process';
import type { Claim } from './claim.js';
import type { LeasesStore } from './leases.store.js';

export interface KeeperTiming {
  readonly leaseMs: number;
  readonly renewMs: number;
  /** How long before the lease ends by the database's clock we stop by ours. */
  readonly marginMs: number;
}

/** Why the work on a run was stopped from outside. */
export type AbortReason = 'lease_lost' | 'released' | 'deadline_passed';

export class WorkAbortedError extends Error {
  override readonly name = 'WorkAbortedError';
  readonly code = 'work_aborted';
  constructor(readonly reason: AbortReason) {
    super(`Work on the run was stopped: ${reason}`);
  }
}

/** One run in our hands. */
export interface Lease {
  readonly claim: Claim;
  readonly signal: AbortSignal;
  isAlive(): boolean;
  abort(reason: AbortReason): void;
  /** The last write goes out now: that the row then bears another fence is no loss. */
  settling(): void;
}

const LOOK_EVERY_MS = 250;

export class Keeper {
  private readonly held = new Map<string, HeldLease>();
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly store: LeasesStore,
    private readonly timing: KeeperTiming,
    private readonly log: FieldLog,
  ) {}

  start(): void {
    this.running = this.keep(this.stopping.signal);
  }

  /** Leases that are still held run out. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  /** @param claimedAtMs monotonic instant before the claim was sent (K2) */
  hold(claim: Claim, claimedAtMs: number): Lease {
    const lease = new HeldLease(
      claim,
      claimedAtMs,
      this.timing.leaseMs - this.timing.marginMs,
      () => this.held.delete(claim.run.run_id),
    );
    this.held.set(claim.run.run_id, lease);
    return lease;
  }

  letGo(lease: Lease): void {
    if (this.held.get(lease.claim.run.run_id) === lease) this.held.delete(lease.claim.run.run_id);
  }

  abortAll(reason: AbortReason): void {
    for (const lease of [...this.held.values()]) lease.abort(reason);
  }

  get size(): number {
    return this.held.size;
  }

  private async keep(signal: AbortSignal): Promise<void> {
    let renewedAtMs = performance.now();
    while (!signal.aborted) {
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
      this.abortOutlived(); // (K2)
      if (performance.now() - renewedAtMs < this.timing.renewMs || this.held.size === 0) continue;
      renewedAtMs = performance.now();
      try {
        await this.renew(renewedAtMs);
      } catch (error) {
        this.log.warn({ error: String(error) }, 'leases could not be renewed; trying again');
      }
    }
  }

  private async renew(sentAtMs: number): Promise<void> {
    const leases = [...this.held.values()];
    const answers = await this.store.renew(leases.map(({ claim }) => claim)); // (K1)
    const byRun = new Map(answers.map((answer) => [answer.runId, answer]));
    for (const lease of leases) {
      const answer = byRun.get(lease.claim.run.run_id);
      if (!answer?.mine)
        this.lose(lease); // (K3)
      else if (answer.renewed) lease.renewed(sentAtMs);
    }
  }

  private abortOutlived(): void {
    for (const lease of [...this.held.values()]) {
      if (!lease.isAlive()) this.lose(lease);
    }
  }

  private lose(lease: HeldLease): void {
    if (lease.signal.aborted) return;
    const { run_id: runId, tenant } = lease.claim.run;
    this.log.warn({ runId, tenant, fence: lease.claim.fence }, 'lease lost; work on it is stopped');
    lease.abort('lease_lost');
  }
}

class HeldLease implements Lease {
  private readonly controller = new AbortController();
  isSettling = false;

  constructor(
    readonly claim: Claim,
    private confirmedAtMs: number,
    private readonly aliveForMs: number,
    private readonly onAbort: () => void,
  ) {}

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  isAlive(): boolean {
    return performance.now() - this.confirmedAtMs < this.aliveForMs;
  }

  renewed(sentAtMs: number): void {
    this.confirmedAtMs = Math.max(this.confirmedAtMs, sentAtMs);
  }

  settling(): void {
    this.isSettling = true;
  }

  abort(reason: AbortReason): void {
    if (this.signal.aborted) return;
    // A lost lease is not kept any longer; a released or expired run is, until its last write is done.
    if (reason === 'lease_lost') this.onAbort();
    this.controller.abort(new WorkAbortedError(reason));
  }
}
