import type { FailureClass } from '../failure/failure-class.js';
import { whatNext, whatToDo, wordsFor } from '../failure/words-for-people.js';
import type { DecisionName } from '../decision/decision.js';
import { isTerminal, type RunProgress, type RunStatus, type Waiting } from './run-status.js';

/** What a sentence about a run needs to know. Instants are ISO 8601. */
export interface DescribableRun {
  readonly status: RunStatus;
  readonly waiting: Waiting | null;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly nextAttemptAt: string | null;
  readonly progress: RunProgress | null;
  readonly failure: { readonly class: FailureClass; readonly code: string } | null;
  /** What was decided about the run and is not carried out yet. */
  readonly pending: DecisionName | null;
}

/** The state of a run in words for the person who waits. `now` in epoch ms. */
export function describeRun(run: DescribableRun, now: number): string {
  if (run.pending && !isTerminal(run.status)) return describePending(run.pending);
  switch (run.status) {
    case 'queued':
      return describeQueued(run.waiting);
    case 'running':
      return describeRunning(run, now);
    case 'retrying':
      return describeRetrying(run, now);
    case 'needs_review':
      return `Needs review: ${becauseOf(run)}. ${whatNext(run.failure)}`;
    case 'completed':
      return 'Completed.';
    case 'failed':
      return `Failed: ${becauseOf(run)}. ${whatToDo(run.failure)}`;
    case 'cancelled':
      return 'Cancelled.';
  }
}

function describePending(decision: DecisionName): string {
  switch (decision) {
    case 'cancel':
      return 'Cancelling: the run stops as soon as the AI service lets go of it. What was spent so far stays recorded.';
    case 'redrive':
      return 'Sent on: the run goes on in a moment, after the last step that is finished.';
    case 'discard':
      return 'Discarding: support has given the run up; it ends in a moment.';
    case 'complete':
      return 'Completing by hand: support has supplied the result; it is there in a moment.';
  }
}

const keepsItsPlace = 'The run keeps its place and goes on by itself; you need not do anything.';

function describeQueued(waiting: Waiting | null): string {
  if (waiting?.reason === 'outage') {
    const why = waiting.because ?? 'the AI service has an outage';
    return `Queued: ${why}. ${keepsItsPlace}`;
  }
  if (waiting?.reason === 'throttled') {
    const why = waiting.because ?? 'the AI service is busy';
    return `Queued: ${why}. ${keepsItsPlace}`;
  }
  if (waiting?.reason === 'paused')
    return 'Queued: an operator has paused work of this kind. The run keeps its place and goes on after the pause; you need not do anything.';
  return 'Queued: waiting for its turn. It starts by itself.';
}

function describeRunning(run: DescribableRun, now: number): string {
  if (run.waiting?.reason === 'throttled') {
    const why = run.failure ? wordsFor(run.failure) : 'the AI service is busy';
    return `Running: ${why}, going on ${inAbout(run.waiting.until, now)}.`;
  }
  if (run.waiting?.reason === 'backoff') {
    return `Running: short pause after a fault, going on ${inAbout(run.waiting.until, now)}.`;
  }
  if (run.waiting?.reason === 'outcome_unknown') {
    return 'Running: looking for an answer of the AI service that was lost on the way. You need not do anything.';
  }
  return run.progress ? `Running: ${describeProgress(run.progress)}.` : 'Running.';
}

/** "Extracting requirements, 7 of 23" or "Answering (step 1 of 1)": measured, never a guess. */
export function describeProgress(progress: RunProgress): string {
  if (progress.itemsTotal !== null) {
    return `${progress.step}, ${progress.itemsDone ?? 0} of ${progress.itemsTotal}`;
  }
  const current = Math.min(progress.stepsDone + 1, progress.stepsTotal);
  return `${progress.step} (step ${current} of ${progress.stepsTotal})`;
}

function describeRetrying(run: DescribableRun, now: number): string {
  const why = run.failure ? wordsFor(run.failure) : 'the last try did not succeed';
  const when = inAbout(run.nextAttemptAt, now);
  return `Retrying: ${why}. Attempt ${run.attempt} of ${run.maxAttempts}, next try ${when}. You need not do anything.`;
}

function becauseOf(run: DescribableRun): string {
  return run.failure ? wordsFor(run.failure) : 'the reason was not recorded';
}

/** "in about 40 s": rounded up, so that nothing ever comes later than was said. */
function inAbout(instant: string | null, now: number): string {
  if (instant === null) return 'as soon as possible';
  const seconds = Math.ceil((Date.parse(instant) - now) / 1000);
  if (seconds <= 1) return 'now';
  if (seconds < 90) return `in about ${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? `in about ${minutes} min` : `in about ${Math.ceil(minutes / 60)} h`;
}
