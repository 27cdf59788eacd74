/** The one way to make a workflow: what is wrong with it is found when the process starts, not in a run. */
import type { Workflow } from './workflow.js';

export class WorkflowInvalidError extends Error {
  readonly code = 'workflow_invalid';
  readonly terminal = true;

  constructor(
    readonly workflow: string,
    readonly version: number,
    readonly problems: readonly string[],
  ) {
    super(`Workflow ${workflow} v${version}: ${problems.join('; ')}`);
    this.name = 'WorkflowInvalidError';
  }
}

export function defineWorkflow(workflow: Workflow): Workflow {
  return workflow;
}
