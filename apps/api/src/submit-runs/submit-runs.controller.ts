import { Controller, Headers, HttpCode, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RunView } from '#libs/contracts';
import { runIdOf } from '#libs/domain';
import { jsonBodyOf } from '../json-body.js';
import { RunWaits } from '../run-waits.js';
import { tenantOf } from '../tenant.js';
import { traceparentOf } from '../trace.js';
import { idempotencyKeyOf } from './idempotency-key.js';
import { SubmitRuns } from './submit-runs.js';

/** `POST /v1/runs`. */
@Controller('v1/runs')
export class SubmitRunsController {
  constructor(
    private readonly runs: SubmitRuns,
    private readonly waits: RunWaits,
  ) {}

  /** Answered at once, or when the run is settled where the caller prefers to wait. */
  @Post()
  @HttpCode(202)
  async submit(
    @Headers('idempotency-key') keyHeader: string | undefined,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RunView> {
    const { kind, run } = await this.runs.submit({
      tenant: tenantOf(request),
      idempotencyKey: idempotencyKeyOf(keyHeader),
      body: jsonBodyOf(request, 'A run is asked for with a JSON body.'),
      traceparent: traceparentOf(request),
    });
    void reply.header('Location', `/v1/runs/${runIdOf(run.id)}`);
    if (kind === 'replayed') void reply.header('Idempotency-Replayed', 'true');
    return this.waits.viewOf(run, request, reply);
  }
}
