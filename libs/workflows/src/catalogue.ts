/** Every workflow version that this build can run. Old versions stay as long as runs may be pinned to them. */
import { WorkflowInvalidError } from './define-workflow.js';
import type { Workflow } from './workflow.js';

export class WorkflowCatalogue {
  readonly #byName = new Map<string, Map<number, Workflow>>();

  constructor(workflows: readonly Workflow[]) {
    for (const workflow of workflows) {
      const versions = this.#byName.get(workflow.name) ?? new Map<number, Workflow>();
      if (versions.has(workflow.version)) {
        throw new WorkflowInvalidError(workflow.name, workflow.version, [
          `is listed twice: give the newer one version ${Math.max(...versions.keys()) + 1}`,
        ]);
      }
      this.#byName.set(workflow.name, versions.set(workflow.version, workflow));
    }
  }

  /** The version that a new run is pinned to. */
  latest(name: string): Workflow | undefined {
    const versions = this.#byName.get(name);
    return versions?.get(Math.max(...versions.keys()));
  }

  find(name: string, version: number): Workflow | undefined {
    return this.#byName.get(name)?.get(version);
  }

  /** Every version of every workflow. */
  all(): Workflow[] {
    return [...this.#byName.values()].flatMap((versions) => [...versions.values()]);
  }

  names(): string[] {
    return [...this.#byName.keys()].sort();
  }
}
