import { Readable } from 'node:stream';
import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ContentStore } from '#libs/content';
import { isTerminal } from '#libs/domain';
import { workflows, type ResultTable } from '#libs/workflows';
import { negotiate } from '../negotiate.js';
import { notAcceptable } from '../not-acceptable.js';
import { ProblemError } from '../problem-error.js';
import { runViewOf, type RunRow } from '../schema/index.js';
import { tenantOf } from '../tenant.js';
import { savedAs } from './content-disposition.js';
import { toCsv } from './csv.js';
import { FollowRunsStore, type RunResult } from './follow-runs.store.js';
import { runExpired, runNotFound, runUuidOf } from '../run-address.js';

const JSON_TYPE = 'application/json';
const CSV_TYPE = 'text/csv';

/** `GET /v1/runs/{id}/result`: the result as JSON, or its table as CSV; 409 with where the run stands while there is none. */
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
    const run = await this.runs.findResult(tenantOf(request), runUuidOf(runId));
    if (!run) throw runNotFound(runId);
    if (run.expiredAt !== null) throw runExpired(runId, 'result', run.expiredAt);
    const table = workflows.find(run.workflow, run.workflowVersion)?.table;
    const offered = table ? [JSON_TYPE, CSV_TYPE] : [JSON_TYPE];
    const type = negotiate(request.headers.accept, offered);
    if (!type) throw notAcceptable(`The result of ${run.workflow}`, offered);
    if (run.status !== 'completed') throw noResult(run);

    void reply.header('Vary', 'Accept');
    if (table && type === CSV_TYPE) await this.sendTable(reply, run, table);
    else this.sendWhole(reply, run);
  }

  private sendWhole(reply: FastifyReply, run: RunRow & RunResult): void {
    void reply.type(`${JSON_TYPE}; charset=utf-8`);
    void reply.send(
      run.resultRef === null || run.result !== null
        ? JSON.stringify(run.result)
        : Readable.from(this.contents.open(run.tenant, run.resultRef)),
    );
  }

  private async sendTable(reply: FastifyReply, run: RunRow & RunResult, table: ResultTable) {
    const result = await this.read(run);
    void reply
      .type(`${CSV_TYPE}; charset=utf-8; header=present`)
      .header('Content-Disposition', savedAs(`${table.titleOf(result)}.csv`));
    await reply.send(toCsv(table.columns, table.rowsOf(result)));
  }

  private async read({ tenant, result, resultRef }: RunRow & RunResult): Promise<unknown> {
    if (resultRef === null || result !== null) return result;
    const { bytes } = await this.contents.get(tenant, resultRef);
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as unknown;
  }
}

function noResult(run: RunRow): ProblemError {
  const view = runViewOf(run, Date.now());
  const code = isTerminal(run.status) ? 'run_without_result' : 'run_not_completed';
  return new ProblemError(code, view.message, { extensions: { run: view } });
}
