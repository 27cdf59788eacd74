/**
 * Takes parked events up again when they have waited long enough.
 *
 * (R1) Every replica looks; applying is a compare-and-set, so two that find the same event do no harm.
 * (R2) A round that fails (Postgres away) is logged and the next one starts anew; the loop ends with its signal only.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FieldLog } from '#libs/process';
import type { ParkedEventsStore } from './parked-events.store.js';
import type { ProjectRuns } from './project-runs.js';

export interface RetakeOptions {
  /** How long an event waits for the one before it, or for its run. Default 5,000. */
  readonly waitMs?: number;
  /** How often to look. Default 1,000. */
  readonly everyMs?: number;
}

const RUNS_PER_ROUND = 100;

export async function retakeParkedEvents(
  parked: ParkedEventsStore,
  projection: ProjectRuns,
  log: FieldLog,
  signal: AbortSignal,
  { waitMs = 5_000, everyMs = 1_000 }: RetakeOptions = {},
): Promise<void> {
  while (!signal.aborted) {
    try {
      await retakeOnce(parked, projection, waitMs);
    } catch (error) {
      log.warn({ error }, 'parked run events could not be taken up; trying again'); // (R2)
    }
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
}

/** One round; answers with how many runs it moved on. */
export async function retakeOnce(
  parked: ParkedEventsStore,
  projection: ProjectRuns,
  waitMs: number,
): Promise<number> {
  const overdue = await parked.overdue(waitMs, RUNS_PER_ROUND);
  await Promise.all(overdue.map((waiting) => projection.takeOverdue(waiting)));
  return overdue.length;
}
