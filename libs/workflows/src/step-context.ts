/**
 * What steps see while a run is carried out. Outputs of `call`, `map` and `webhook` steps come from check-points;
 * outputs of `compute` steps are computed when first asked for and kept for as long as this context lives.
 */
import type { Step, StepContext, Workflow, WorkflowDocument } from './workflow.js';

export class StepOutputMissingError extends Error {
  readonly code = 'step_output_missing';
  readonly terminal = true;

  constructor(
    readonly workflow: string,
    readonly step: string,
    mend: string,
  ) {
    super(`Workflow ${workflow}: step "${step}" has no output here. ${mend}`);
    this.name = 'StepOutputMissingError';
  }
}

export interface RunFacts {
  readonly input: unknown;
  readonly documents: readonly WorkflowDocument[];
  /** Output of a finished `call`, `map` or `webhook` step by step name; `undefined` when it has none yet. */
  storedOutput(stepName: string): unknown;
}

export function createStepContext(workflow: Workflow, facts: RunFacts): StepContext {
  const computed = new Map<string, unknown>();
  const outputAt = (name: string): unknown => {
    const step = workflow.steps.find((candidate) => candidate.name === name);
    if (step === undefined) {
      throw new StepOutputMissingError(workflow.name, name, 'List the step in the workflow.');
    }
    if (step.kind === 'compute') {
      if (!computed.has(name)) computed.set(name, step.run(context));
      return computed.get(name);
    }
    const stored = facts.storedOutput(name);
    if (stored === undefined) {
      throw new StepOutputMissingError(workflow.name, name, 'Only earlier steps can be read.');
    }
    return stored;
  };
  const context: StepContext = {
    input: facts.input,
    documents: facts.documents,
    // The edge where check-pointed JSON becomes a type again: the step that is asked for has written it.
    outputOf: <T>(step: Step<T>): T => outputAt(step.name) as T,
  };
  return context;
}
