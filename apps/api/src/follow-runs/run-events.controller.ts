import { Controller, Get, Headers, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RunHistory } from '#libs/contracts';
import { isTerminal } from '#libs/domain';
import { tenantOf } from '../tenant.js';
import { sendEventStream } from './event-stream.js';
import { FollowRunsStore } from './follow-runs.store.js';
import { lastEventIdWrong, runNotFound, runUuidOf } from './run-address.js';
import { historyEntryOf } from './run-history.js';
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
    const afterVersion = versionOf(lastEventId);
    const run = await this.runs.find(tenant, runUuid);
    if (!run) throw runNotFound(runId);

    const wantsStream = request.method === 'GET' && (accept ?? '').includes('text/event-stream');
    if (!wantsStream) {
      const history = await this.runs.history(tenant, runUuid);
      const body: RunHistory = { events: history.map(historyEntryOf) };
      return void (await reply.send(body));
    }
    // 204 tells an EventSource not to come back: nothing more will ever happen.
    if (isTerminal(run.status) && afterVersion >= run.version)
      return void (await reply.code(204).send());
    const followed = { tenant, runUuid, afterVersion, ended: false };
    sendEventStream(request, reply, (gone) => streamRuns(this.hub, [followed], form, gone));
  }
}

/** One run has one version to remember: the id of an event is its version. */
const form: StreamForm = {
  idOf: (versions) => versions.join(),
  entryOf: historyEntryOf,
};

/** What the client has seen; 0: nothing yet. */
function versionOf(lastEventId: string | undefined): number {
  if (lastEventId === undefined || lastEventId === '') return 0;
  if (/^\d{1,9}$/.test(lastEventId)) return Number(lastEventId);
  throw lastEventIdWrong('is not the id of an event of a run');
}
