/**
 * Histories of runs as `text/event-stream` (https://html.spec.whatwg.org/multipage/server-sent-events.html): what happened, then
 * what happens, until all have ended. In order within a run; between runs no order is promised.
 *
 * (S1) `id` of an event says what the client has seen of every run once it has this event. A client that comes back with it as
 *      `Last-Event-ID` goes on from there, on whichever replica: no gap, no repeat.
 * (S2) A comment every 15 s tells client and proxies that the stream lives.
 * (S3) The stream ends after the last terminal event, and when the client has gone or the process drains.
 */
import type { RunHistoryEntry } from '#libs/contracts';
import { isTerminal } from '#libs/domain';
import type { HistoryRow } from './follow-runs.store.js';
import type { WatchHub } from './watch-hub.js';

export const HEARTBEAT_MS = 15_000;
/** How long a client waits before it comes back. */
const RECONNECT_MS = 1_000;

export interface FollowedRun {
  readonly tenant: string;
  readonly runUuid: string;
  readonly afterVersion: number;
  /** The client has seen its terminal event. */
  readonly ended: boolean;
}

/** How a stream writes what it says. */
export interface StreamForm {
  /** The place after an event; `versions` in the order of the runs (S1). */
  idOf(versions: readonly number[]): string;
  entryOf(row: HistoryRow): RunHistoryEntry;
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
    if (open.length === 0) return; // (S3)
    const beat = AbortSignal.timeout(heartbeatMs);
    const events = await hub.nextOf(open, AbortSignal.any([signal, beat]));
    if (events.length === 0) {
      if (!beat.aborted) return; // (S3) client gone, or draining
      yield ': heartbeat\n\n'; // (S2)
      continue;
    }
    for (const row of events) {
      const place = places.get(row.runId);
      if (!place) continue;
      place.afterVersion = row.version;
      place.ended = isTerminal(row.status);
      const id = form.idOf([...places.values()].map(({ afterVersion }) => afterVersion)); // (S1)
      yield frameOf(id, row.type, form.entryOf(row));
    }
  }
}

function frameOf(id: string, type: string, entry: RunHistoryEntry): string {
  return `id: ${id}\nevent: ${eventNameOf(type)}\ndata: ${JSON.stringify(entry)}\n\n`;
}

/** `dev.holdfast.run.retry-scheduled.v1` is `run.retry-scheduled` to a listener in a page. */
function eventNameOf(type: string): string {
  return /^dev\.holdfast\.(run\.[a-z-]+)\.v\d+$/.exec(type)?.[1] ?? 'message';
}
