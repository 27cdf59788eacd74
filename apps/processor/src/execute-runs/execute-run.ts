/**
 * Carries one claimed run to wherever it gets: its own table of contents.
 *
 * (E1) Nothing is written but under the lease's fence; a lease that is lost ends the work without a word.
 * (E2) A pass goes over the steps in order and skips what is check-pointed; finished model calls are never repeated.
 * (E3) Every pass ends in one decision: done, wait here, later, a person, or never.
 * (E4) The run's own deadline is wall-clock and always wins, but over a cancel. What still runs at OpenAI then is cancelled, and booked.
 * (E5) A run is given back when nothing of it is on its way to OpenAI: the next owner finds a result, or a call to pick up.
 * (E6) A run that is to be cancelled makes no call and sends nothing any more. Its open calls and effects are closed first,
 *      then it ends.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { defaultRetryPolicy, type RetryPolicy } from '#libs/domain';
import { isGivenBack } from '#libs/openai-gateway';
import { pauseAt } from '#libs/pause-points';
import { aboutRun } from '../schema/index.js';
import { abortAtDeadline } from './abort-at-deadline.js';
import { countOutcome } from './count-outcome.js';
import { decideOutcome, type Standing } from './decide-outcome.js';
import type { ExecuteTools } from './execute-tools.js';
import type { Lease, WorkAbortedError } from './keeper.js';
import { openRun } from './open-run.js';
import type { FinalOutcome, Outcome } from './outcome.js';
import type { Pass } from './pass.js';
import { ProgressTeller } from './progress-teller.js';
import { runSteps } from './run-steps.js';
import { failureOf } from './thrown-failure.js';
import { tellOutcome } from './trace-run.js';

export async function executeRun(lease: Lease, tools: ExecuteTools): Promise<void> {
  if (lease.claim.run.cancel_requested) lease.abort('cancel_requested'); // (E6)
  const deadline = abortAtDeadline(lease, tools.nowMs());
  const progress = new ProgressTeller(lease, tools);
  let standing = standingOf(lease);
  try {
    for (let passes = 0; ; passes += 1) {
      const pass = await onePass(lease, tools, progress, passes);
      const outcome = decideOutcome(
        pass,
        lease.claim.run,
        standing,
        policyOf(lease, tools),
        tools.nowMs(),
        tools.random(),
      );
      await progress.pause();
      if (outcome.kind !== 'wait_here') return await settle(lease, tools, outcome);
      standing = await waitHere(lease, tools, { ...outcome, progress: progress.newest }, standing);
    }
  } finally {
    deadline.clear();
    await progress.pause();
  }
}

/** Never throws: what goes wrong in our own code is a failure of class `internal`. */
async function onePass(
  lease: Lease,
  tools: ExecuteTools,
  progress: ProgressTeller,
  passes: number,
): Promise<Pass> {
  try {
    lease.signal.throwIfAborted();
    const run = await openRun(lease, tools, passes);
    return await runSteps(run, lease, tools, progress);
  } catch (error) {
    return failureOf(error, lease, tools.log);
  }
}

/** What can still change the outcome comes first, then the one write, then what is said of it. */
async function settle(
  lease: Lease,
  tools: ExecuteTools,
  outcome: FinalOutcome | { readonly kind: 'lost' },
): Promise<void> {
  if (outcome.kind === 'lost') return; // (E1)
  if (outcome.kind === 'cancelled' && !(await closeCalls(lease, tools))) {
    return settle(lease, tools, afterLeave(lease));
  }
  if (isPastDeadline(outcome)) await closeModelCalls(lease, tools); // (E4)
  if (outcome.kind === 'released') await tools.gateway.offTheWire(lease.claim.run.run_id); // (E5)
  tellOutcome(outcome);
  lease.settling();
  const moved = await tools.moves.move(lease.claim, outcome);
  if (moved === 'cancel_requested') return settle(lease, tools, { kind: 'cancelled' });
  pauseAt('outcome.after-commit');
  report(lease, tools, outcome, moved);
}

function report(
  { claim: { run } }: Lease,
  { log, metrics, nowMs }: ExecuteTools,
  outcome: FinalOutcome,
  moved: 'written' | 'lost',
): void {
  const fields = {
    ...aboutRun(run),
    outcome: outcome.kind,
    ...('failure' in outcome && { class: outcome.failure.class, code: outcome.failure.code }),
  };
  if (moved === 'written') {
    countOutcome(metrics, run, outcome, nowMs());
    return log.info(fields, 'run left this worker');
  }
  metrics.add('holdfast_fences_lost_total', { at: 'outcome' });
  log.warn(fields, 'run was taken over before its outcome was written; thrown away');
}

/** @returns false: the run has to be left before its calls are closed (E6) */
async function closeCalls(lease: Lease, tools: ExecuteTools): Promise<boolean> {
  const { run_id: runId, tenant } = lease.claim.run;
  await closeModelCalls(lease, tools);
  if (lease.ownership.aborted) return false;
  const unclear = await tools.effects.close(runId);
  if (unclear > 0) {
    tools.log.warn(
      { runId, tenant, unclear },
      'run cancelled; whether its effects happened is not known',
    );
  }
  return true;
}

async function closeModelCalls({ claim, ownership }: Lease, tools: ExecuteTools): Promise<void> {
  const { run_id: runId, tenant } = claim.run;
  const { leftOpen } = await tools.gateway.closeCalls(runId, ownership);
  if (leftOpen > 0 && !ownership.aborted)
    tools.log.warn({ runId, tenant, leftOpen }, 'run ends; what its calls cost is not known yet');
}

const isPastDeadline = (outcome: FinalOutcome): boolean =>
  outcome.kind === 'failed' && outcome.failure.class === 'deadline_exceeded';

function afterLeave({ ownership }: Lease): { readonly kind: 'released' | 'lost' } {
  const { reason } = ownership.reason as WorkAbortedError;
  return { kind: reason === 'released' ? 'released' : 'lost' };
}

async function waitHere(
  lease: Lease,
  tools: ExecuteTools,
  outcome: Extract<Outcome, { kind: 'wait_here' }>,
  standing: Standing,
): Promise<Standing> {
  const moved = await tools.moves.move(lease.claim, outcome);
  if (moved === 'written') countOutcome(tools.metrics, lease.claim.run, outcome, tools.nowMs());
  else lease.abort(moved === 'lost' ? 'lease_lost' : moved);
  await sleep(outcome.delayMs, undefined, { signal: lease.signal }).catch(() => undefined);
  return {
    attempt: outcome.attempt,
    tries: standing.tries + 1,
    firstFailedAtMs: standing.firstFailedAtMs ?? tools.nowMs(),
    lostToFaults:
      standing.lostToFaults +
      (isGivenBack(outcome.failure.class) ? outcome.attempt - standing.attempt : 0),
  };
}

/** The workflow's own policy; the number of attempts is the one that was promised when the run was admitted. */
function policyOf({ claim: { run } }: Lease, { workflows }: ExecuteTools): RetryPolicy {
  const workflow = workflows.find(run.workflow, run.workflow_version);
  return { ...defaultRetryPolicy, ...workflow?.retry, maxAttempts: run.max_attempts };
}

function standingOf({ claim: { run } }: Lease): Standing {
  return {
    attempt: run.attempt,
    tries: run.tries,
    firstFailedAtMs: run.first_failed_at?.getTime() ?? null,
    lostToFaults: 0,
  };
}
