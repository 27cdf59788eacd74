import { aboutRun } from '../schema/index.js';
import type { ExecuteTools } from './execute-tools.js';
import type { Lease } from './keeper.js';

/** A write was refused because the run is somebody else's by now: counted, told, and nothing more is done for it here. */
export function fenceLost(
  lease: Pick<Lease, 'claim' | 'abort'>,
  { metrics, log }: Pick<ExecuteTools, 'metrics' | 'log'>,
  at: 'outcome' | 'progress' | 'check_point' | 'call' | 'effect',
): void {
  metrics.add('holdfast_fences_lost_total', { at });
  const { run, fence } = lease.claim;
  log.warn(
    { ...aboutRun(run), fence, what: at },
    'run is no longer ours; what we wrote was refused',
  );
  lease.abort('lease_lost');
}
