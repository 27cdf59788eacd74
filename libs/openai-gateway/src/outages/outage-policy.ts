import type { FaultPolicy } from './decide-fault.js';
import type { BreakerPolicy } from './lane-breaker.js';
import type { ProbePolicy } from './latch.js';
import type { RampPolicy } from './ramp.js';

/** How outages are sat out. */
export interface OutagePolicy extends BreakerPolicy, FaultPolicy, RampPolicy, ProbePolicy {
  /** How often the latches are read: for so long a process may not know of one. Default 1,000. */
  readonly refreshMs: number;
  /** How long a call waits here for its turn while a lane comes back; past it its run gives its slot back. Default 10,000. */
  readonly turnMs: number;
}

export const defaultOutagePolicy: OutagePolicy = {
  sampleMs: 10_000,
  threshold: 0.5,
  minimumSamples: 10,
  verdictMs: 2_000,
  rememberMs: 600_000,
  doubtedTries: 3,
  openMs: 5_000,
  maxOpenMs: 60_000,
  stepMs: 1_000,
  fullAt: 64,
  billingProbeMs: 600_000,
  firstProbeMs: 30_000,
  maxProbeMs: 600_000,
  refreshMs: 1_000,
  turnMs: 10_000,
};
