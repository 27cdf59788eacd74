import { Database } from '#libs/postgres';
import type { WorkflowCatalogue } from '#libs/workflows';

/** This build must not take the place of one that can carry these runs. Terminal: deploy a build that has the versions. */
export class WorkflowVersionsMissingError extends Error {
  override readonly name = 'WorkflowVersionsMissingError';
  readonly code = 'workflow_versions_missing';
  constructor(readonly missing: readonly string[]) {
    super(`unfinished runs need ${missing.join(', ')}; deploy a build that has them`);
  }
}

/**
 * A run keeps the workflow version it was accepted with. Runs that no build could carry wait for a person and do not count.
 * @throws WorkflowVersionsMissingError
 */
export async function requireWorkflows(url: string, workflows: WorkflowCatalogue): Promise<void> {
  const applicationName = 'holdfast-processor.workflows';
  const database = new Database({ url, maxConnections: 1, applicationName });
  try {
    const { rows } = await database.query<{ workflow: string; version: number }>(
      `SELECT DISTINCT workflow, workflow_version AS version FROM processor.executions
       WHERE status IN ('ready', 'running', 'retrying') ORDER BY 1, 2`,
    );
    const missing = rows.filter(({ workflow, version }) => !workflows.find(workflow, version));
    if (missing.length === 0) return;
    throw new WorkflowVersionsMissingError(
      missing.map((each) => `${each.workflow} v${each.version}`),
    );
  } finally {
    await database.close();
  }
}
