import { Readable } from 'node:stream';
import { Controller, Get, Headers, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RunHistory } from '#libs/contracts';
import { isTerminal } from '#libs/domain';
import { ProblemError } from '../problem-error.js';
import { tenantOf } from '../tenant.js';
import { FollowRunsStore } from './follow-runs.store.js';
import { runNotFound, runUuidOf } from './run-address.js';
import { historyEntryOf } from './run-history.js';
import { streamRun } from './stream-run.js';
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
    this.stream(reply, { tenant, runUuid, afterVersion });
  }

  private stream(
    reply: FastifyReply,
    run: { tenant: string; runUuid: string; afterVersion: number },
  ): void {
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    void reply
      .headers({
        'Content-Type': 'text/event-stream; charset=utf-8',
        'Cache-Control': 'no-cache, no-transform',
        'X-Accel-Buffering': 'no',
      })
      .send(Readable.from(streamRun(this.hub, run, gone.signal)));
  }
}

/** What the client has seen; 0: nothing yet. */
function versionOf(lastEventId: string | undefined): number {
  if (lastEventId === undefined || lastEventId === '') return 0;
  if (/^\d{1,9}$/.test(lastEventId)) return Number(lastEventId);
  const mend = 'Send the id of the last event that arrived, as it was, or leave the header out.';
  throw new ProblemError('invalid_header', 'Last-Event-ID is not the id of an event of a run.', {
    errors: [{ header: 'Last-Event-ID', message: 'is not an event id', mend }],
  });
}
