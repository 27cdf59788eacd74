/** Takes what people decide about runs, and what callers' own commands do: checks it, stores it, has it sent to the processor. */
import type { ContentStore } from '#libs/content';
import type { CompleteRunBody } from '#libs/contracts';
import { runIdOf } from '#libs/domain';
import { checkSchema, type WorkflowCatalogue } from '#libs/workflows';
import { ProblemError } from '../problem-error.js';
import { runNotFound } from '../run-address.js';
import { runViewOf, type RunRow } from '../schema/index.js';
import { invalidResult, wishRefused, workflowVersionUnknown } from './decision-problems.js';
import { decideWish, type KnownDecision } from './decide-wish.js';
import type { DecisionRow, DecisionsStore, DecisionWish } from './decisions.store.js';

/** Which run is meant, by whom, in which trace. */
export type AboutRun = Pick<DecisionWish, 'tenant' | 'runUuid' | 'traceparent'>;

export class DecideRuns {
  constructor(
    private readonly decisions: DecisionsStore,
    private readonly contents: Pick<ContentStore, 'put'>,
    private readonly workflows: WorkflowCatalogue,
    /** A decision is committed: whoever brings it on, or shows it, is to look. */
    private readonly onTaken: () => void,
  ) {}

  /** @throws ProblemError where nothing comes of it */
  async decide(wish: DecisionWish): Promise<KnownDecision> {
    const decided = await this.decisions.decide(wish);
    switch (decided.kind) {
      case 'run_unknown':
        throw runNotFound(runIdOf(wish.runUuid));
      case 'taken':
        this.onTaken();
        return decided.decision;
      case 'stands':
        return decided.decision;
      case 'refuse':
        throw wishRefused(decided.code, decided.pending, viewOf(decided.run));
    }
  }

  /** A result by hand. It is checked and stored before it is decided on: the command holds its reference only. */
  async complete(
    about: AboutRun,
    { result, reason = null }: CompleteRunBody,
  ): Promise<KnownDecision> {
    const { tenant, runUuid } = about;
    const run = await this.decisions.find(tenant, runUuid);
    if (!run) throw runNotFound(runIdOf(runUuid));
    const known = await this.decisions.list(tenant, runUuid);
    const ruling = decideWish({ decision: 'complete', commandId: null }, run.status, known);
    if (ruling.kind === 'refuse') throw wishRefused(ruling.code, ruling.pending, viewOf(run));
    this.checkResult(run, result);
    const bytes = Buffer.from(JSON.stringify(result));
    const { ref } = await this.contents.put(tenant, bytes, { mediaType: 'application/json' });
    const what = { decision: 'complete', reason, resultRef: ref } as const;
    return this.decide({ ...about, what, commandId: null });
  }

  /** Stops the run that was asked for under this key. The same record again changes nothing. */
  async cancelByKey(
    cancel: Pick<DecisionWish, 'tenant' | 'traceparent'> & {
      readonly idempotencyKey: string;
      readonly reason: string | null;
      readonly commandId: string;
    },
  ): Promise<void> {
    const { tenant, traceparent, commandId, idempotencyKey, reason } = cancel;
    const runUuid = await this.decisions.findByKey(tenant, idempotencyKey);
    if (runUuid === undefined) {
      throw new ProblemError('run_not_found', `There is no run under the key ${idempotencyKey}.`);
    }
    const what = { decision: 'cancel', reason } as const;
    await this.decide({ tenant, runUuid, what, commandId, traceparent });
  }

  /** Oldest first. */
  async listOf(tenant: string, runUuid: string): Promise<readonly DecisionRow[]> {
    const run = await this.decisions.find(tenant, runUuid);
    if (!run) throw runNotFound(runIdOf(runUuid));
    return this.decisions.list(tenant, runUuid);
  }

  private checkResult(run: RunRow, result: unknown): void {
    const workflow = this.workflows.find(run.workflow, run.workflowVersion);
    if (!workflow) throw workflowVersionUnknown(run.workflow, run.workflowVersion);
    const wrong = checkSchema(workflow.result, result);
    if (wrong.length > 0) throw invalidResult(workflow.name, wrong);
  }
}

function viewOf(run: RunRow) {
  return runViewOf(run, Date.now());
}
