import { Controller, Get, Headers, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RunHistory } from '#libs/contracts';
import { isTerminal } from '#libs/domain';
import { tenantOf } from '../tenant.js';
import { sendEventStream } from './event-stream.js';
import { FollowRunsStore } from './follow-runs.store.js';
import { lastEventIdWrong, runExpired, runNotFound, runUuidOf } from '../run-address.js';
import { historyEntryOf } from './run-history.js';
import { runViewOf } from '../schema/index.js';
import { NOTHING_SEEN, readSeenId, seenIdOf, type SeenRun } from './stream-place.js';
import { streamRuns, type StreamForm } from './stream-runs.js';
import { WatchHub } from './watch-hub.js';

/** `GET /v1/runs/{id}/events`: what happened as JSON, or as a stream for those who accept `text/event-stream`. */
@Controller('v1/runs/:id/events')
export class RunEventsController {
  constructor(
    private readonly runs: FollowRunsStore,
    private readonly hub: WatchHub,
  ) {}

  @Get()
  async events(
    @Param('id') runId: string,
    @Headers('accept') accept: string | undefined,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const tenant = tenantOf(request);
    const runUuid = runUuidOf(runId);
    const seen = seenBy(lastEventId);
    const run = await this.runs.find(tenant, runUuid);
    if (!run) throw runNotFound(runId);
    if (run.expiredAt !== null) throw runExpired(runId, 'history', run.expiredAt);

    const wantsStream = request.method === 'GET' && (accept ?? '').includes('text/event-stream');
    if (!wantsStream) {
      const history = await this.runs.history(tenant, runUuid);
      const body: RunHistory = { events: history.map(historyEntryOf) };
      return void (await reply.send(body));
    }
    // 204 tells an EventSource not to come back: nothing more will ever happen.
    if (isTerminal(run.status) && seen.version >= run.version)
      return void (await reply.code(204).send());
    const followed = { tenant, runUuid, seen, ended: false };
    sendEventStream(request, reply, (gone) => streamRuns(this.hub, [followed], form, gone));
  }
}

const form: StreamForm = {
  idOf: ([seen = NOTHING_SEEN]) => seenIdOf(seen),
  entryOf: historyEntryOf,
  viewOf: (run) => runViewOf(run, Date.now()),
};

function seenBy(lastEventId: string | undefined): SeenRun {
  if (lastEventId === undefined || lastEventId === '') return NOTHING_SEEN;
  const seen = readSeenId(lastEventId);
  if (seen) return seen;
  throw lastEventIdWrong('is not the id of an event of a run');
}
