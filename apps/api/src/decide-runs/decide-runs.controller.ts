import { Controller, Get, HttpCode, Param, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  CompleteRunBody,
  DecideRunBody,
  DiscardRunBody,
  RedriveRunBody,
  type DecisionReceipt,
  type DecisionView,
  type RunDecisions,
} from '#libs/contracts';
import { decisionIdOf, runIdOf } from '#libs/domain';
import { checkedBodyOf, jsonBodyOf } from '../json-body.js';
import { runUuidOf } from '../run-address.js';
import { tenantOf } from '../tenant.js';
import { traceparentOf } from '../trace.js';
import { DecideRuns, type AboutRun } from './decide-runs.js';
import type { KnownDecision } from './decide-wish.js';
import type { DecisionRow, Wanted } from './decisions.store.js';

/** What people decide about a run. 202: it is on its way; the run's view and events say what becomes of it. */
@Controller('v1/runs/:id')
export class DecideRunsController {
  constructor(private readonly decisions: DecideRuns) {}

  @Post('cancel')
  @HttpCode(202)
  async cancel(
    @Param('id') runId: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DecisionReceipt> {
    const about = aboutRun(runId, request);
    const { reason = null } = checkedBodyOf(DecideRunBody, request.body ?? {}, 'a decision');
    const receipt = await this.decide(about, { decision: 'cancel', reason }, reply);
    if (receipt.state === 'applied') void reply.code(200); // it was cancelled before
    return receipt;
  }

  @Post('redrive')
  @HttpCode(202)
  redrive(
    @Param('id') runId: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DecisionReceipt> {
    const about = aboutRun(runId, request);
    const body = checkedBodyOf(RedriveRunBody, request.body ?? {}, 'a decision');
    const { reason = null, budget } = body;
    const maxCostUsd = budget?.maxCostUsd ?? null;
    return this.decide(about, { decision: 'redrive', reason, maxCostUsd }, reply);
  }

  @Post('discard')
  @HttpCode(202)
  discard(
    @Param('id') runId: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DecisionReceipt> {
    const about = aboutRun(runId, request);
    const sent = jsonBodyOf(request, 'A run is discarded with a JSON body that says why.');
    const { reason } = checkedBodyOf(DiscardRunBody, sent, 'a discard');
    return this.decide(about, { decision: 'discard', reason }, reply);
  }

  @Post('complete')
  @HttpCode(202)
  async complete(
    @Param('id') runId: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DecisionReceipt> {
    const about = aboutRun(runId, request);
    const sent = jsonBodyOf(request, 'A run is completed by a JSON body that holds its result.');
    const body = checkedBodyOf(CompleteRunBody, sent, 'a completion');
    return receiptOf(about, await this.decisions.complete(about, body), reply);
  }

  @Get('decisions')
  async list(@Param('id') runId: string, @Req() request: FastifyRequest): Promise<RunDecisions> {
    const rows = await this.decisions.listOf(tenantOf(request), runUuidOf(runId));
    return { decisions: rows.map(decisionViewOf) };
  }

  private async decide(
    about: AboutRun,
    what: Wanted,
    reply: FastifyReply,
  ): Promise<DecisionReceipt> {
    return receiptOf(
      about,
      await this.decisions.decide({ ...about, what, commandId: null }),
      reply,
    );
  }
}

function aboutRun(runId: string, request: FastifyRequest): AboutRun {
  return {
    tenant: tenantOf(request),
    runUuid: runUuidOf(runId),
    traceparent: traceparentOf(request),
  };
}

function receiptOf(
  { runUuid }: AboutRun,
  { id, decision, state }: KnownDecision,
  reply: FastifyReply,
): DecisionReceipt {
  const runId = runIdOf(runUuid);
  const run = `/v1/runs/${runId}`;
  void reply.header('Location', run);
  const links = { run, decisions: `${run}/decisions` };
  return { decisionId: decisionIdOf(id), runId, decision, state, links };
}

function decisionViewOf(row: DecisionRow): DecisionView {
  const { decision, state, reason, refusalCode, refusalReason, decidedAt, answeredAt } = row;
  return {
    id: decisionIdOf(row.id),
    ...{ decision, state, reason },
    refusal: refusalCode === null ? null : { code: refusalCode, reason: refusalReason ?? '' },
    decidedAt: decidedAt.toISOString(),
    answeredAt: answeredAt?.toISOString() ?? null,
  };
}
