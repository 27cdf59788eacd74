import { Controller, Headers, HttpCode, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RunView, SubmitRunBody } from '#libs/contracts';
import { contentRef, ContentStore, documentId } from '#libs/content';
import { runIdOf } from '#libs/domain';
import { uuidv7 } from '#libs/postgres';
import { workflows, type Workflow } from '#libs/workflows';
import { ProblemError } from '../problem-error.js';
import { RunWaits } from '../run-waits.js';
import type { RunRow } from '../schema/index.js';
import { tenantOf } from '../tenant.js';
import { traceparentOf } from '../trace.js';
import { AcceptRunsStore } from './accept-runs.store.js';
import { bodyHashOf } from './body-hash.js';
import { checkBody, checkDocuments, checkInput, findWorkflow } from './check-submit.js';
import { idempotencyKeyOf } from './idempotency-key.js';
import { newRunOf } from './new-run.js';
import { UnfinishedRuns } from './unfinished-runs.js';

/** For those who are told that too many runs are unfinished. */
const RETRY_AFTER_SECONDS = '5';

/** `POST /v1/runs`: one key, one run. Nothing is stored before all checks have passed. */
@Controller('v1/runs')
export class SubmitRunsController {
  constructor(
    private readonly runs: AcceptRunsStore,
    private readonly contents: ContentStore,
    private readonly waits: RunWaits,
    private readonly unfinished: UnfinishedRuns,
  ) {}

  @Post()
  @HttpCode(202)
  async submit(
    @Headers('idempotency-key') keyHeader: string | undefined,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RunView> {
    const tenant = tenantOf(request);
    const idempotencyKey = idempotencyKeyOf(keyHeader);
    const bodyHash = bodyHashOf(jsonBodyOf(request));

    // A body that was accepted once is answered by its run for ever, even where today's checks would refuse it.
    const earlier = await this.runs.findByKey(tenant, idempotencyKey);
    if (earlier && isSameBody(earlier, bodyHash))
      return this.answer(request, reply, earlier, 'replayed');

    const body = checkBody(request.body);
    if (earlier) throw keyReused(idempotencyKey);
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
        traceparent: traceparentOf(request),
      });
      return this.runs.accept(newRun);
    });
    if (outcome.kind === 'too_many') throw tooManyUnfinished(this.unfinished.limit);
    if (outcome.kind === 'accepted') return this.answer(request, reply, outcome.run, 'accepted');
    if (isSameBody(outcome.run, bodyHash))
      return this.answer(request, reply, outcome.run, 'replayed');
    throw keyReused(idempotencyKey);
  }

  /** At once, or when the run is settled where the caller prefers to wait. */
  private answer(
    request: FastifyRequest,
    reply: FastifyReply,
    run: RunRow,
    how: 'accepted' | 'replayed',
  ): Promise<RunView> {
    void reply.header('Location', `/v1/runs/${runIdOf(run.id)}`);
    if (how === 'replayed') void reply.header('Idempotency-Replayed', 'true');
    return this.waits.viewOf(run, request, reply);
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

/** Without a body there is no content type to refuse, and multipart has a parser (for documents): both end here. */
function jsonBodyOf(request: FastifyRequest): unknown {
  if (request.body !== undefined) return request.body;
  const mend = 'Send application/json, and say so in Content-Type.';
  throw new ProblemError('unsupported_media_type', 'A run is asked for with a JSON body.', {
    errors: [{ header: 'Content-Type', message: 'is missing or not application/json', mend }],
  });
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
