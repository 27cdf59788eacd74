/** Reads and checks a result that a person gives: once more, for the api may be another build. */
import type { ContentStore } from '#libs/content';
import { ContentCorruptError, ContentNotFoundError } from '#libs/content';
import { statement, type Database } from '#libs/postgres';
import { checkSchema, type WorkflowCatalogue } from '#libs/workflows';
import type { IncomingDecision } from './incoming-decision.js';

/** What is known of the result of a decision. */
export type GivenResult =
  /** The decision gives none, or nothing is known of its run (yet). */
  | { readonly kind: 'unread' }
  | { readonly kind: 'breaks' }
  | {
      readonly kind: 'fits';
      readonly ref: string;
      /** Where it is small enough to travel in the event. */
      readonly inline: Record<string, unknown> | null;
    };

export class GivenResultsStore {
  constructor(
    private readonly database: Database,
    private readonly contents: Pick<ContentStore, 'get'>,
    private readonly workflows: WorkflowCatalogue,
    private readonly inlineResultBytes: number,
  ) {}

  /** What a run was accepted with never changes: this may look without its lock. */
  async check({ runId, tenant, resultRef }: IncomingDecision): Promise<GivenResult> {
    if (resultRef === null) return { kind: 'unread' };
    const { rows } = await this.database.query<PinnedWorkflow>(PINNED, [runId, tenant]);
    const workflow = rows[0] && this.workflows.find(rows[0].workflow, rows[0].workflow_version);
    if (!workflow) return { kind: 'unread' };
    const bytes = await this.read(tenant, resultRef);
    const result = bytes && parsed(bytes);
    if (!result || checkSchema(workflow.result, result).length > 0) return { kind: 'breaks' };
    const isSmall = bytes.length <= this.inlineResultBytes;
    return { kind: 'fits', ref: resultRef, inline: isSmall ? result : null };
  }

  private async read(tenant: string, ref: string): Promise<Uint8Array | null> {
    try {
      return (await this.contents.get(tenant, ref)).bytes;
    } catch (error) {
      if (error instanceof ContentNotFoundError || error instanceof ContentCorruptError)
        return null;
      throw error;
    }
  }
}

interface PinnedWorkflow {
  readonly workflow: string;
  readonly workflow_version: number;
}

function parsed(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

const PINNED = statement(
  'processor.executions.pinned_workflow',
  `SELECT workflow, workflow_version FROM processor.executions WHERE run_id = $1 AND tenant = $2`,
);
