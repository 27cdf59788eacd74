import { Controller, Get, Headers, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RunPage, RunView } from '#libs/contracts';
import { RunWaits } from '../run-waits.js';
import { runETagOf, runViewOf } from '../schema/index.js';
import { tenantOf } from '../tenant.js';
import { FollowRunsStore } from './follow-runs.store.js';
import { nextPageOf, runFilterOf } from './list-request.js';
import { runNotFound, runUuidOf } from '../run-address.js';

/** Where runs stand: one, or a page of them. */
@Controller('v1/runs')
export class FollowRunsController {
  constructor(
    private readonly runs: FollowRunsStore,
    private readonly waits: RunWaits,
  ) {}

  @Get()
  async list(
    @Query() query: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RunPage> {
    const filter = runFilterOf(tenantOf(request), query);
    const found = await this.runs.list({ ...filter, limit: filter.limit + 1 });
    const page = found.slice(0, filter.limit);
    const last = page.at(-1);
    const next = last && found.length > page.length ? nextPageOf(query, last.id) : null;
    if (next) void reply.header('Link', `<${next}>; rel="next"`);
    const now = Date.now();
    return { runs: page.map((run) => runViewOf(run, now)), next };
  }

  @Get(':id')
  async find(
    @Param('id') runId: string,
    @Headers('if-none-match') known: string | undefined,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RunView | undefined> {
    const run = await this.runs.find(tenantOf(request), runUuidOf(runId));
    if (!run) throw runNotFound(runId);
    const view = await this.waits.viewOf(run, request, reply);
    const etag = runETagOf(view);
    void reply.header('ETag', etag).header('Cache-Control', 'no-cache');
    if (isKnown(etag, known)) {
      void reply.code(304);
      return undefined;
    }
    return view;
  }
}

/** RFC 9110, 13.1.2: weak comparison with a list of tags, or `*`. */
function isKnown(etag: string, ifNoneMatch: string | undefined): boolean {
  if (ifNoneMatch === undefined) return false;
  const opaque = (tag: string) => tag.trim().replace(/^W\//, '');
  const known = ifNoneMatch.split(',').map(opaque);
  return known.includes('*') || known.includes(opaque(etag));
}
