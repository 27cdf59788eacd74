/** How a decision can be refused at the door. */
import type { RunView } from '#libs/contracts';
import { decisionIdOf } from '#libs/domain';
import type { SchemaProblem } from '#libs/workflows';
import { refusedBody } from '../json-body.js';
import { ProblemError } from '../problem-error.js';
import type { KnownDecision, WishRefusal } from './decide-wish.js';

export function wishRefused(
  code: WishRefusal,
  pending: KnownDecision | null,
  run: RunView,
): ProblemError {
  const detail = detailOf(code, pending, run);
  const decisionId = pending && decisionIdOf(pending.id);
  return new ProblemError(code, detail, { extensions: { run, ...(decisionId && { decisionId }) } });
}

function detailOf(code: WishRefusal, pending: KnownDecision | null, run: RunView): string {
  const named = pending ? `${pending.decision} (${decisionIdOf(pending.id)})` : 'decision';
  switch (code) {
    case 'run_already_ended':
      return `The run has ended: it is ${run.status}.`;
    case 'run_not_in_review':
      return `The run is ${run.status}. This can be decided while it is needs_review only.`;
    case 'redrive_pending':
      return `A ${named} is on its way: the run goes on by itself.`;
    case 'decision_pending':
      return `A ${named} is on its way. See what becomes of it first.`;
  }
}

export function workflowVersionUnknown(name: string, version: number): ProblemError {
  const detail = `This api does not have version ${version} of ${name}, so it cannot check a result of it. Deploy a build that has it.`;
  return new ProblemError('workflow_version_unknown', detail);
}

/** @param wrong places in the result */
export function invalidResult(workflow: string, wrong: readonly SchemaProblem[]): ProblemError {
  const errors = wrong.map(({ pointer, message, mend }) => {
    return { pointer: `/result${pointer}`, message, mend };
  });
  const what = `The result does not fit the output contract of ${workflow}`;
  return refusedBody('invalid_result', what, errors);
}
