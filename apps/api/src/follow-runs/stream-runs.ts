/**
 * Histories of runs as `text/event-stream` (https://html.spec.whatwg.org/multipage/server-sent-events.html): what happened, then
 * what happens, until all have ended. In order within a run; between runs no order is promised.
 *
 * (S1) `id` of an event says what the client has seen of every run once it has this event. A client that comes back with it as
 *      `Last-Event-ID` goes on from there, on whichever replica: no gap, no repeat.
 * (S2) A comment every 15 s tells client and proxies that the stream lives.
 * (S3) A view that has changed without an event (somebody decided, or was answered) is told as it stands, as `run.revised`; what it
 *      was in between is not.
 * (S4) The stream ends after the last terminal event, and when the client has gone or the process drains.
 */
import type { RunHistoryEntry, RunView } from '#libs/contracts';
import { isTerminal } from '#libs/domain';
import type { RunRow } from '../schema/index.js';
import type { HistoryRow } from './follow-runs.store.js';
import type { SeenRun } from './stream-place.js';
import type { WatchHub } from './watch-hub.js';

export const HEARTBEAT_MS = 15_000;
/** How long a client waits before it comes back. */
const RECONNECT_MS = 1_000;

export interface FollowedRun {
  readonly tenant: string;
  readonly runUuid: string;
  readonly seen: SeenRun;
  /** The client has seen its terminal event. */
  readonly ended: boolean;
}

/** How a stream writes what it says. */
export interface StreamForm {
  /** The place after an event; `seen` in the order of the runs (S1). */
  idOf(seen: readonly SeenRun[]): string;
  entryOf(row: HistoryRow): RunHistoryEntry;
  viewOf(run: RunRow): RunView;
}

export async function* streamRuns(
  hub: WatchHub,
  runs: readonly FollowedRun[],
  form: StreamForm,
  signal: AbortSignal,
  heartbeatMs = HEARTBEAT_MS,
): AsyncGenerator<string, void, undefined> {
  yield `retry: ${RECONNECT_MS}\n\n`; // and with it the headers: the client knows at once that it is connected
  const places = new Map(runs.map((run) => [run.runUuid, { ...run }]));
  while (!signal.aborted) {
    const open = [...places.values()].filter(({ ended }) => !ended);
    if (open.length === 0) return; // (S4)
    const beat = AbortSignal.timeout(heartbeatMs);
    const watches = open.map(({ tenant, runUuid, seen }) => {
      return { tenant, runUuid, afterVersion: seen.version, afterRevision: seen.revision };
    });
    const news = await hub.nextOf(watches, AbortSignal.any([signal, beat]));
    if (news.length === 0) {
      if (signal.aborted) return; // (S4) nobody hears what is said any more
      if (!beat.aborted) {
        yield goodbye(); // (S4) for a client that is still there: draining
        return;
      }
      yield ': heartbeat\n\n'; // (S2)
      continue;
    }
    const idNow = () => form.idOf([...places.values()].map(({ seen }) => seen)); // (S1)
    for (const each of news) {
      const place = places.get(each.kind === 'event' ? each.row.runId : each.run.id);
      if (!place) continue;
      if (each.kind === 'event') {
        const { row } = each;
        place.seen = { ...place.seen, version: row.version };
        place.ended = isTerminal(row.status);
        yield frameOf(idNow(), eventNameOf(row.type), form.entryOf(row));
      } else if (!place.ended) {
        place.seen = { ...place.seen, revision: each.run.revision };
        yield frameOf(idNow(), REVISED, form.viewOf(each.run)); // (S3)
      }
    }
  }
}

/** Not all at the same moment: those of one replica come back to the others. */
function goodbye(): string {
  const retryMs = Math.round(RECONNECT_MS * (0.5 + Math.random()));
  return `: this server is going down; come back with Last-Event-ID\nretry: ${retryMs}\n\n`;
}

/** What a listener in a page hears of a view that was revised. */
const REVISED = 'run.revised';

function frameOf(id: string, event: string, data: RunHistoryEntry | RunView): string {
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** `dev.holdfast.run.retry-scheduled.v1` is `run.retry-scheduled` to a listener in a page. */
function eventNameOf(type: string): string {
  return /^dev\.holdfast\.(run\.[a-z-]+)\.v\d+$/.exec(type)?.[1] ?? 'message';
}
