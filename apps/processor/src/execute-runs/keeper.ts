/**
 * Keeps the leases of the runs that this process works on.
 *
 * (K1) All leases are renewed in one statement, over an explicit list of (run, fence): a claim that we do not know of, because
 *      the answer to its commit was lost, is not renewed.
 * (K2) A lease counts from before the renewal was sent. When it is older than the lease less a margin, by the monotonic clock,
 *      the work on that run is aborted here, before anybody else can have taken it; also while a renewal is still unanswered.
 * (K3) A run that turns out to be somebody else's is aborted at once; not so while its last write is on its way, which gives
 *      the run out of our hands by itself.
 * (K4) Of one run at most one claim is kept: a newer one of ours outdates the older.
 * (K5) A renewal also brings the news that a run is to be cancelled. The work on it is aborted, but it stays ours: its calls
 *      have to be closed before it ends.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { noMetrics, type Metrics } from '#libs/metrics';
import type { FieldLog } from '#libs/process';
import { aboutRun } from '../schema/index.js';
import type { Claim } from './claim.js';
import type { LeaseAnswer, LeasesStore } from './leases.store.js';

export interface KeeperTiming {
  readonly leaseMs: number;
  readonly renewMs: number;
  /** How long before the lease ends by the database's clock we stop by ours. */
  readonly marginMs: number;
}

/** Why the work on a run was stopped from outside. */
export type AbortReason = 'lease_lost' | 'released' | 'deadline_passed' | 'cancel_requested';

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
  /** Fires when the work on the run is to stop. */
  readonly signal: AbortSignal;
  /** Fires when the run is no longer ours, or is to be given back: not for a cancel or a deadline. */
  readonly ownership: AbortSignal;
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
  private renewing = false;
  private failingSinceMs: number | null = null;
  private hinted = false;

  constructor(
    private readonly store: LeasesStore,
    private readonly timing: KeeperTiming,
    private readonly log: FieldLog,
    private readonly metrics: Metrics = noMetrics,
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
    const { run_id: runId } = claim.run;
    this.held.get(runId)?.abort('lease_lost'); // (K4)
    const lease = new HeldLease(claim, claimedAtMs, aliveForMs(this.timing), (lost) =>
      this.letGo(lost),
    );
    this.held.set(runId, lease);
    return lease;
  }

  /** A cancel may be stored for a run of ours: look soon. */
  hint(): void {
    this.hinted = true;
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

  /** In words: work is about to be stopped, or was, because leases could not be renewed; null: they are. */
  get problem(): string | null {
    const { failingSinceMs } = this;
    if (failingSinceMs === null) return null;
    const seconds = Math.round((performance.now() - failingSinceMs) / 1_000);
    return `leases could not be renewed for ${seconds} s: work in hand is stopped before they run out`;
  }

  private async keep(signal: AbortSignal): Promise<void> {
    let sentAtMs = performance.now();
    let renewal = Promise.resolve();
    while (!signal.aborted) {
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
      this.abortOutlived(); // (K2)
      if (this.held.size === 0) this.failingSinceMs = null; // nothing to renew, nothing to lose
      const isDue = this.hinted || performance.now() - sentAtMs >= this.timing.renewMs;
      if (!isDue || this.held.size === 0 || this.renewing) continue;
      this.hinted = false;
      sentAtMs = performance.now();
      renewal = this.renew(sentAtMs);
    }
    await renewal;
  }

  /** Never rejects: leases that are not renewed run out. */
  private async renew(sentAtMs: number): Promise<void> {
    const leases = [...this.held.values()];
    this.renewing = true;
    try {
      const answers = await this.store.renew(leases.map(({ claim }) => claim)); // (K1)
      this.failingSinceMs = null;
      this.take(answers, leases, sentAtMs);
    } catch (error) {
      this.failingSinceMs ??= sentAtMs;
      this.log.warn({ error }, 'leases could not be renewed; trying again');
    } finally {
      this.renewing = false;
    }
  }

  private take(
    answers: readonly LeaseAnswer[],
    leases: readonly HeldLease[],
    sentAtMs: number,
  ): void {
    const byRun = new Map(answers.map((answer) => [answer.runId, answer]));
    const renewed = answers.filter((answer) => answer.renewed).length;
    this.metrics.add('holdfast_leases_renewed_total', {}, renewed);
    for (const lease of leases) {
      const answer = byRun.get(lease.claim.run.run_id);
      if (!answer?.mine)
        this.lose(lease); // (K3)
      else if (answer.renewed) lease.renewed(sentAtMs);
      if (answer?.mine && answer.cancelRequested) lease.abort('cancel_requested'); // (K5)
    }
  }

  private abortOutlived(): void {
    for (const lease of [...this.held.values()]) {
      if (!lease.isAlive()) this.lose(lease);
    }
  }

  /** One that was let go meanwhile is not lost: its run has been written down. */
  private lose(lease: HeldLease): void {
    const { run_id: runId } = lease.claim.run;
    if (lease.ownership.aborted || this.held.get(runId) !== lease) return;
    const { run, fence } = lease.claim;
    this.log.warn({ ...aboutRun(run), fence }, 'lease lost; work on it is stopped');
    this.metrics.add('holdfast_leases_lost_total', {});
    lease.abort('lease_lost');
  }
}

function aliveForMs({ leaseMs, marginMs }: KeeperTiming): number {
  return leaseMs - marginMs;
}

class HeldLease implements Lease {
  private readonly working = new AbortController();
  private readonly owning = new AbortController();
  isSettling = false;

  constructor(
    readonly claim: Claim,
    private confirmedAtMs: number,
    private readonly aliveForMs: number,
    private readonly onLost: (lease: Lease) => void,
  ) {}

  get signal(): AbortSignal {
    return this.working.signal;
  }

  get ownership(): AbortSignal {
    return this.owning.signal;
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
    // A lost lease is not kept any longer; a released, cancelled or expired run is, until its last write is done.
    if (reason === 'lease_lost') this.onLost(this);
    const error = new WorkAbortedError(reason);
    if (reason === 'lease_lost' || reason === 'released') this.owning.abort(error);
    this.working.abort(error);
  }
}
