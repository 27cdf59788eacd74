import { Controller, Get, Headers, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  checkFields,
  FollowEventsQuery,
  followedRunsOf,
  type RunStreamEntry,
  type RunStreamView,
} from '#libs/contracts';
import { isTerminal, runIdOf, uuidOf } from '#libs/domain';
import { negotiate } from '../negotiate.js';
import { notAcceptable } from '../not-acceptable.js';
import { runViewOf } from '../schema/index.js';
import { tenantOf } from '../tenant.js';
import { sendEventStream } from './event-stream.js';
import { FollowRunsStore } from './follow-runs.store.js';
import { badQuery } from '../bad-query.js';
import { lastEventIdWrong, runsNotFound } from '../run-address.js';
import { historyEntryOf } from './run-history.js';
import { NOTHING_SEEN, placeIdOf, readPlaceId, type SeenRun } from './stream-place.js';
import { streamRuns, type FollowedRun, type StreamForm } from './stream-runs.js';
import { WatchHub } from './watch-hub.js';

const EVENT_STREAM = 'text/event-stream';

/** `GET /v1/events?runs=a,b,c`: one stream for all the runs of a page, for browsers allow six connections per origin. */
@Controller('v1/events')
export class FollowEventsController {
  constructor(
    private readonly runs: FollowRunsStore,
    private readonly hub: WatchHub,
  ) {}

  @Get()
  async events(
    @Query() query: unknown,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    if (!negotiate(request.headers.accept, [EVENT_STREAM]))
      throw notAcceptable('What happens to runs', [EVENT_STREAM]);
    const uuids = runUuidsOf(query);
    const seen = seenBy(lastEventId, uuids);
    const runs = await this.find(tenantOf(request), uuids, seen);
    // 204 tells an EventSource not to come back: nothing more will ever happen.
    if (runs.every(({ ended }) => ended)) return void (await reply.code(204).send());

    const form: StreamForm = {
      idOf: (places) => placeIdOf(uuids, places),
      entryOf: (row): RunStreamEntry => ({ runId: runIdOf(row.runId), ...historyEntryOf(row) }),
      viewOf: (run): RunStreamView => ({ runId: runIdOf(run.id), ...runViewOf(run, Date.now()) }),
    };
    sendEventStream(request, reply, (gone) => streamRuns(this.hub, runs, form, gone));
  }

  private async find(
    tenant: string,
    uuids: readonly string[],
    places: readonly SeenRun[],
  ): Promise<FollowedRun[]> {
    const found = await this.runs.findStanding(tenant, uuids);
    const unknown = uuids.filter((uuid) => !found.has(uuid));
    if (unknown.length > 0) throw runsNotFound(unknown.map(runIdOf));
    return uuids.map((runUuid, index) => {
      const seen = places[index] ?? NOTHING_SEEN;
      const run = found.get(runUuid);
      const hasAll = run !== undefined && isTerminal(run.status) && seen.version >= run.version;
      const ended = hasAll || run?.expired === true;
      return { tenant, runUuid, seen, ended };
    });
  }
}

/** In the order of ids, which is that of a place in the stream. */
function runUuidsOf(query: unknown): string[] {
  const checked = checkFields(FollowEventsQuery, { ...(query as object) });
  if (checked.kind === 'invalid') throw badQuery(checked.wrong);
  return (followedRunsOf(checked.value.runs) ?? []).map(uuidOf).sort();
}

function seenBy(lastEventId: string | undefined, uuids: readonly string[]): readonly SeenRun[] {
  if (lastEventId === undefined || lastEventId === '') return uuids.map(() => NOTHING_SEEN);
  const place = readPlaceId(lastEventId, uuids);
  switch (place.kind) {
    case 'place':
      return place.seen;
    case 'unreadable':
      throw lastEventIdWrong('is not the id of an event of this stream');
    case 'other_runs':
      throw lastEventIdWrong('is the id of an event of a stream of other runs');
  }
}
