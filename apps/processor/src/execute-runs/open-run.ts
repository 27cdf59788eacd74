/** Everything a run's steps read: workflow as pinned, input, documents, and what is finished already. */
import { documentId, contentRef } from '#libs/content';
import {
  createStepContext,
  type StepContext,
  type Workflow,
  type WorkflowDocument,
} from '#libs/workflows';
import { FIRST_FENCE, type ExecutionRow } from '../schema/index.js';
import type { ExecuteTools } from './execute-tools.js';
import type { Lease } from './keeper.js';

export interface OpenRun {
  readonly row: ExecutionRow;
  readonly workflow: Workflow;
  readonly context: StepContext;
  readonly finished: FinishedItems;
  /** Nobody has worked on the run before: there can be no check-points and no calls to look for. */
  readonly isFresh: boolean;
}

/** Check-pointed values, as they are saved. */
export class FinishedItems {
  private readonly values: Map<number, Map<number, unknown>>;

  constructor(saved: ReadonlyMap<number, ReadonlyMap<number, unknown>>) {
    this.values = new Map([...saved].map(([step, items]) => [step, new Map(items)]));
  }

  has(step: number, item: number): boolean {
    return this.values.get(step)?.has(item) ?? false;
  }

  set(step: number, item: number, value: unknown): void {
    const items = this.values.get(step) ?? new Map<number, unknown>();
    this.values.set(step, items.set(item, value));
  }

  /** In the order of items. */
  of(step: number): unknown[] {
    const items = this.values.get(step) ?? new Map<number, unknown>();
    return [...items].sort(([a], [b]) => a - b).map(([, value]) => value);
  }
}

/** @param passes how many this claim has made before */
export async function openRun(lease: Lease, tools: ExecuteTools, passes: number): Promise<OpenRun> {
  const { run: row, fence } = lease.claim;
  const isFresh = fence === FIRST_FENCE && passes === 0;
  const workflow = tools.workflows.find(row.workflow, row.workflow_version);
  if (!workflow) throw new WorkflowMissingError(row.workflow, row.workflow_version);
  const [input, documents, saved] = await Promise.all([
    readInput(row, tools),
    Promise.all(row.request.documents.map((id) => readDocument(id, row, tools))),
    isFresh ? new Map<number, Map<number, unknown>>() : tools.checkPoints.load(row.run_id),
  ]);
  const finished = new FinishedItems(saved);
  const context = createStepContext(workflow, {
    input,
    documents,
    storedOutput: (name) => storedOutput(workflow, finished, name),
  });
  return { row, workflow, context, finished, isFresh };
}

async function readInput(row: ExecutionRow, { contents }: ExecuteTools): Promise<unknown> {
  const { bytes } = await contents.get(row.tenant, row.request.inputRef);
  return JSON.parse(Buffer.from(bytes).toString('utf8'));
}

async function readDocument(
  id: string,
  row: ExecutionRow,
  { contents }: ExecuteTools,
): Promise<WorkflowDocument> {
  const stored = await contents.get(row.tenant, contentRef(id));
  const text = Buffer.from(stored.bytes).toString('utf8');
  return {
    id: documentId(stored.ref),
    fileName: stored.fileName,
    mediaType: stored.mediaType,
    text,
  };
}

/** Asked only for steps that are through, or for a map of no items. */
function storedOutput(workflow: Workflow, finished: FinishedItems, name: string): unknown {
  const index = workflow.steps.findIndex((step) => step.name === name);
  const values = finished.of(index);
  return workflow.steps[index]?.kind === 'map' ? values : values[0];
}

/** This build lacks the version that the run is pinned to: deploy one that has it. */
export class WorkflowMissingError extends Error {
  override readonly name = 'WorkflowMissingError';
  readonly code = 'workflow_missing';
  constructor(workflow: string, version: number) {
    super(`workflow ${workflow} version ${version} is not in this build`);
  }
}
