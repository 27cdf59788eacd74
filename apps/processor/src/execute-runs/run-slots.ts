/**
 * Claims runs while there are free slots, and carries them out.
 *
 * (R1) A slot is held from the claim to the last write of a run.
 * (R2) Woken by whatever makes a run ready in this process, by a slot that becomes free while more may wait, and by a poll:
 *      hints may be lost, and other processes make runs ready too.
 * (R3) A claim that got less than it asked for has most likely emptied the lanes: the next look comes a little later.
 * (R4) What a claim has to tell (RunStarted) waits for the relay's next look: a quick run tells of its start and its end at once.
 * (R5) Runs for which OpenAI's limits leave no room stay where they are; slots beyond the set number are for tenants of whom
 *      nothing is in hand (claim-room.ts), so that one tenant's long runs do not keep another's out.
 */
import { performance } from 'node:perf_hooks';
import { pauseAt } from '#libs/pause-points';
import type { FieldLog } from '#libs/process';
import { aboutRun } from '../schema/index.js';
import { fenceBefore } from './attempts.store.js';
import { claimRoom, freeSlots } from './claim-room.js';
import { MAX_CLAIM, type ClaimRunsStore } from './claim-runs.store.js';
import type { Claim } from './claim.js';
import { executeRun } from './execute-run.js';
import type { ExecuteTools } from './execute-tools.js';
import type { Keeper, Lease } from './keeper.js';
import { inRunSpan } from './trace-run.js';

const POLL_MS = 500;
const LOOK_AGAIN_MS = 20;
const LOOK_FOR_GUESTS_MS = 250;

export interface RunSlotsOptions {
  readonly store: ClaimRunsStore;
  readonly keeper: Keeper;
  readonly tools: ExecuteTools;
  readonly slots: number;
  readonly log: FieldLog;
}

export class RunSlots {
  private readonly working = new Map<Promise<void>, Claim>();
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private wake: () => void = () => undefined;
  private woken = false;
  /** The last claim found something. */
  private moreMayWait = true;
  private guestsSoughtAtMs = -Infinity;
  /** Some lane had little room: what was claimed of it has to get to its calls before there is more to say. */
  private isComingBack = false;

  constructor(private readonly options: RunSlotsOptions) {}

  start(): void {
    this.running = this.claimWhileFree(this.stopping.signal);
  }

  /** Something may be ready. */
  hint(): void {
    this.woken = true;
    this.wake();
  }

  get size(): number {
    return this.options.slots;
  }

  get inUse(): number {
    return this.working.size;
  }

  /** No more claims; waits for the runs in hand until the grace ends, then gives them back. */
  async drain(graceMs: number): Promise<void> {
    this.stopping.abort();
    this.wake();
    await this.running;
    const inHand = () => Promise.all(this.working.keys());
    await within(inHand(), graceMs);
    pauseAt('drain.releasing');
    this.options.keeper.abortAll('released');
    await inHand();
  }

  private async claimWhileFree(signal: AbortSignal): Promise<void> {
    const { slots, log } = this.options;
    while (!signal.aborted) {
      this.woken = false;
      const wanted = slots - this.working.size;
      let claimed = 0;
      try {
        claimed = await this.claim();
      } catch (error) {
        log.warn({ error }, 'claiming failed; trying again');
      }
      const isFull = freeSlots(slots, this.working.size).guestsOnly;
      if (isFull || claimed === 0 || this.isComingBack)
        await this.untilWoken(POLL_MS, signal); // (R2)
      else if (claimed < Math.min(wanted, MAX_CLAIM)) await this.untilWoken(LOOK_AGAIN_MS, signal); // (R3)
    }
  }

  private async claim(): Promise<number> {
    const { slots, store, tools } = this.options;
    const { free, guestsOnly } = freeSlots(slots, this.working.size);
    if (free === 0 || (guestsOnly && !this.mayLookForGuests())) return 0;
    const inHand = [...this.working.values()].map(({ run }) => run);
    const room = claimRoom(inHand, guestsOnly, tools.gateway.rooms()); // (R5)
    const sentAtMs = performance.now();
    const lanes = tools.gateway.room();
    const claims = await store.claim(free, room, lanes);
    const isShort = [...room.runsByModel.values()].some((runs) => runs < free);
    if (!guestsOnly) this.moreMayWait = claims.length > 0 || isShort;
    this.isComingBack = [lanes.inAll ?? 0, ...lanes.byModel.values()].some((each) => each > 0);
    for (const claim of claims) this.work(claim, sentAtMs);
    tools.metrics.add('holdfast_runs_claimed_total', {}, claims.length);
    return claims.length;
  }

  /** While all slots are taken, hints come with every admission: they are not worth a statement each. */
  private mayLookForGuests(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.guestsSoughtAtMs < LOOK_FOR_GUESTS_MS) return false;
    this.guestsSoughtAtMs = nowMs;
    return true;
  }

  /** (R1) */
  private work(claim: Claim, sentAtMs: number): void {
    const lease = this.options.keeper.hold(claim, sentAtMs);
    const work = this.carryOut(lease).finally(() => {
      this.working.delete(work);
      if (this.moreMayWait) this.hint(); // (R2)
    });
    this.working.set(work, claim);
  }

  private async carryOut(lease: Lease): Promise<void> {
    try {
      const { tools } = this.options;
      await inRunSpan(
        lease.claim,
        (run) => fenceBefore(tools.database, run),
        () => executeRun(lease, tools),
      );
    } catch (error) {
      // Its outcome could not be written: the lease runs out, and the rescuer lets another owner go on.
      const about = aboutRun(lease.claim.run);
      this.options.log.error({ ...about, error }, 'run left without an outcome');
    } finally {
      this.options.keeper.letGo(lease);
    }
  }

  private untilWoken(maxWaitMs: number, signal: AbortSignal): Promise<void> {
    if (this.woken || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.wake(), maxWaitMs);
      this.wake = () => {
        clearTimeout(timer);
        this.wake = () => undefined;
        resolve();
      };
    });
  }
}

async function within(work: Promise<unknown>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise((resolve) => (timer = setTimeout(resolve, limitMs)));
  await Promise.race([work, limit]);
  clearTimeout(timer);
}
