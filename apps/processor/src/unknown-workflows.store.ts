import { Database } from '#libs/postgres';
import type { WorkflowCatalogue } from '#libs/workflows';

/** Workflow versions that unfinished runs are pinned to and this build lacks, as `name vN`. */
export async function unknownWorkflows(
  url: string,
  workflows: WorkflowCatalogue,
): Promise<string[]> {
  const database = new Database({
    url,
    maxConnections: 1,
    applicationName: 'holdfast-processor.check',
  });
  try {
    const { rows } = await database.query<{ workflow: string; version: number }>(
      `SELECT DISTINCT workflow, workflow_version AS version FROM processor.executions
       WHERE status IN ('ready', 'running', 'retrying', 'needs_review') ORDER BY 1, 2`,
    );
    return rows
      .filter(({ workflow, version }) => !workflows.find(workflow, version))
      .map(({ workflow, version }) => `${workflow} v${version}`);
  } finally {
    await database.close();
  }
}
