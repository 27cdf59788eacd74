import { Readable } from 'node:stream';
import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ContentStore } from '#libs/content';
import { isTerminal } from '#libs/domain';
import { ProblemError } from '../problem-error.js';
import { runViewOf, type RunRow } from '../schema/index.js';
import { tenantOf } from '../tenant.js';
import { FollowRunsStore } from './follow-runs.store.js';
import { runNotFound, runUuidOf } from './run-address.js';

/** `GET /v1/runs/{id}/result`: the result as it is, or 409 with where the run stands. */
@Controller('v1/runs/:id/result')
export class RunResultController {
  constructor(
    private readonly runs: FollowRunsStore,
    private readonly contents: ContentStore,
  ) {}

  @Get()
  async result(
    @Param('id') runId: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const tenant = tenantOf(request);
    const run = await this.runs.findResult(tenant, runUuidOf(runId));
    if (!run) throw runNotFound(runId);
    if (run.status !== 'completed') throw noResult(run);

    void reply.type('application/json; charset=utf-8');
    if (run.resultRef === null || run.result !== null) {
      void reply.send(JSON.stringify(run.result));
    } else {
      void reply.send(Readable.from(this.contents.open(tenant, run.resultRef)));
    }
  }
}

function noResult(run: RunRow): ProblemError {
  const view = runViewOf(run, Date.now());
  const code = isTerminal(run.status) ? 'run_without_result' : 'run_not_completed';
  return new ProblemError(code, view.message, { extensions: { run: view } });
}
