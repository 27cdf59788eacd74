/** Takes a request for a run, over HTTP or Kafka alike: one key, one run. Nothing is stored before all checks have passed. */
import type { SubmitRunBody } from '#libs/contracts';
import { contentRef, documentId, type ContentStore } from '#libs/content';
import type { Metrics } from '#libs/metrics';
import { uuidv7 } from '#libs/postgres';
import { workflows, type Workflow } from '#libs/workflows';
import { ProblemError } from '../problem-error.js';
import type { RunRow } from '../schema/index.js';
import type { Acceptance, AcceptRunsStore } from './accept-runs.store.js';
import { bodyHashOf } from './body-hash.js';
import { checkBody, checkDocuments, checkInput, findWorkflow } from './check-submit.js';
import { newRunOf } from './new-run.js';
import type { UnfinishedRuns } from './unfinished-runs.js';

/** What somebody asks for, and as whom. */
export interface Submit {
  readonly tenant: string;
  readonly idempotencyKey: string;
  /** A JSON value that can be held (`findUnholdable`), not checked any further. */
  readonly body: unknown;
  readonly traceparent: string;
}

export interface Submitted {
  /** `replayed`: the key and body were there before. */
  readonly kind: 'accepted' | 'replayed';
  readonly run: RunRow;
}

/** For those who are told that too many runs are unfinished. */
const RETRY_AFTER_SECONDS = '5';

export class SubmitRuns {
  constructor(
    private readonly runs: AcceptRunsStore,
    private readonly contents: ContentStore,
    private readonly unfinished: UnfinishedRuns,
    private readonly metrics: Metrics,
  ) {}

  /** @throws ProblemError where it is refused: then nothing is stored */
  async submit(wanted: Submit): Promise<Submitted> {
    const submitted = await this.place(wanted);
    const { kind, run } = submitted;
    if (kind === 'replayed') this.metrics.add('holdfast_submits_replayed_total', {});
    else this.metrics.add('holdfast_runs_accepted_total', { workflow: run.workflow });
    return submitted;
  }

  /** The key's index decides whether the run is new; it is looked up only for what would be refused. */
  private async place(wanted: Submit): Promise<Submitted> {
    const bodyHash = bodyHashOf(wanted.body);
    let outcome: Acceptance;
    try {
      outcome = await this.accept(wanted, bodyHash);
    } catch (refusal) {
      if (!(refusal instanceof ProblemError)) throw refusal;
      // A body that was accepted once is answered by its run while that is kept, even where it would be refused today.
      const earlier = await this.runs.findByKey(wanted.tenant, wanted.idempotencyKey);
      if (!earlier) {
        if (refusal.code === 'too_many_unfinished_runs')
          this.metrics.add('holdfast_submits_held_back_total', {});
        throw refusal;
      }
      outcome = { kind: 'key_taken', run: earlier };
    }
    if (outcome.kind === 'accepted') return outcome;
    if (!isSameBody(outcome.run, bodyHash)) throw keyReused(wanted.idempotencyKey);
    return { kind: 'replayed', run: outcome.run };
  }

  private async accept(
    { tenant, idempotencyKey, body: sent, traceparent }: Submit,
    bodyHash: Buffer,
  ): Promise<Acceptance> {
    const body = checkBody(sent);
    const workflow = findWorkflow(body, workflows);
    checkInput(body, workflow);
    await this.checkDocuments(tenant, body, workflow);

    const outcome = await this.unfinished.place(tenant, async () => {
      const newRun = newRunOf(body, workflow, {
        tenant,
        runUuid: uuidv7(),
        messageId: uuidv7(),
        now: new Date(),
        idempotencyKey,
        bodyHash,
        inputRef: await this.storeInput(tenant, body),
        traceparent,
      });
      return this.runs.accept(newRun);
    });
    if (outcome.kind !== 'too_many') return outcome;
    throw tooManyUnfinished(this.unfinished.limit);
  }

  private async checkDocuments(tenant: string, body: SubmitRunBody, workflow: Workflow) {
    const refs = (body.documents ?? []).map((id) => contentRef(id));
    const stored = refs.length > 0 ? await this.contents.describe(tenant, refs) : [];
    const known = stored.map(({ ref, mediaType }) => ({ id: documentId(ref), mediaType }));
    checkDocuments(body, workflow, known);
  }

  /** Before the transaction that refers to it. If that one loses to a rival, nothing refers to the input and it is collected. */
  private async storeInput(tenant: string, body: SubmitRunBody): Promise<string> {
    const bytes = Buffer.from(JSON.stringify(body.input));
    const { ref } = await this.contents.put(tenant, bytes, { mediaType: 'application/json' });
    return ref;
  }
}

function isSameBody(run: RunRow, bodyHash: Buffer): boolean {
  return run.bodyHash?.equals(bodyHash) ?? false;
}

function tooManyUnfinished(limit: number): ProblemError {
  const detail = `${limit} runs are unfinished, which is the limit. Nothing was stored: send the same request again later.`;
  return new ProblemError('too_many_unfinished_runs', detail, {
    headers: { 'Retry-After': RETRY_AFTER_SECONDS },
    extensions: { limit },
  });
}

function keyReused(idempotencyKey: string): ProblemError {
  const detail = `The key ${idempotencyKey} stands for a run that was asked for with another body.`;
  const mend = 'Send the body of the first try, or a new key for a new action.';
  const errors = [{ header: 'Idempotency-Key', message: 'was used with another body', mend }];
  return new ProblemError('idempotency_key_reused', detail, { errors });
}
