/**
 * `Prefer: wait=N` (RFC 7240): an answer about a run is held until the run is settled, so that a caller need not ask again.
 *
 * (W1) A wait is one watch in the hub: it reads nothing of its own until an event says that the run is settled.
 * (W2) It ends with the run settled, N seconds over, the client gone, or the process draining, whichever is first; the answer
 *      is what is known then. 200: settled. 202: not yet, ask again.
 * (W3) A database that is away when the wait ends takes nothing from the caller: what was known before it is answered.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RunView } from '#libs/contracts';
import { isTerminal, type RunStatus } from '#libs/domain';
import { isTransientError } from '#libs/postgres';
import type { FollowRunsStore, RunResult } from './follow-runs/follow-runs.store.js';
import type { WatchHub } from './follow-runs/watch-hub.js';
import { preferredWaitSeconds } from './prefer-wait.js';
import { runViewOf, type RunRow } from './schema/index.js';

type KnownRun = RunRow & Partial<RunResult>;

export class RunWaits {
  constructor(
    private readonly runs: Pick<FollowRunsStore, 'findResult'>,
    private readonly hub: Pick<WatchHub, 'next'>,
  ) {}

  /** The view to answer with: at once where no wait is asked for, else when it is over; then status and headers are set too. */
  async viewOf(run: RunRow, request: FastifyRequest, reply: FastifyReply): Promise<RunView> {
    const seconds = preferredWaitSeconds(request.headers['prefer']);
    void reply.header('Vary', 'Prefer');
    if (seconds === undefined) return runViewOf(run, Date.now());

    void reply.header('Preference-Applied', `wait=${seconds}`);
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const known = await this.wait(run, seconds * 1_000, gone.signal);
    void reply.code(isSettled(known.status) ? 200 : 202);
    return { ...runViewOf(known, Date.now()), ...smallResultOf(known) };
  }

  private async wait(run: RunRow, waitMs: number, gone: AbortSignal): Promise<KnownRun> {
    const over = AbortSignal.any([gone, AbortSignal.timeout(waitMs)]);
    let known: KnownRun = isSettled(run.status) ? await this.readAgain(run) : run;
    let afterVersion = known.version;
    while (!isSettled(known.status)) {
      const watch = { tenant: run.tenant, runUuid: run.id, afterVersion, afterRevision: null };
      const news = await this.hub.next(watch, over); // (W1)
      const events = news.flatMap((each) => (each.kind === 'event' ? each.row : []));
      if (events.length === 0) return gone.aborted ? known : this.readAgain(known); // (W2)
      afterVersion = events.at(-1)?.version ?? afterVersion;
      if (events.some(({ status }) => isSettled(status))) known = await this.readAgain(known);
    }
    return known;
  }

  private async readAgain(known: KnownRun): Promise<KnownRun> {
    try {
      return (await this.runs.findResult(known.tenant, known.id)) ?? known;
    } catch (error) {
      if (isTransientError(error)) return known; // (W3)
      throw error;
    }
  }
}

/** Nothing more happens unless a person wants it. */
function isSettled(status: RunStatus): boolean {
  return isTerminal(status) || status === 'needs_review';
}

/** A large result is in the content store: the view only links to it. */
function smallResultOf({
  status,
  result,
  resultRef,
  expiredAt,
}: KnownRun): Pick<RunView, 'result'> {
  if (expiredAt !== null) return {};
  const isHere = result !== undefined && (result !== null || resultRef === null);
  return status === 'completed' && isHere ? { result } : {};
}
