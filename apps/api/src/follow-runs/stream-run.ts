/**
 * A run's history as `text/event-stream` (https://html.spec.whatwg.org/multipage/server-sent-events.html): what happened, then
 * what happens, until the run has ended.
 *
 * (S1) `id` of an event is its version. A client that comes back with `Last-Event-ID` goes on after it: no gap, no repeat.
 * (S2) A comment every 15 s tells client and proxies that the stream lives.
 * (S3) The stream ends after the terminal event, and when the client has gone or the process drains.
 */
import { isTerminal } from '#libs/domain';
import type { HistoryRow } from './follow-runs.store.js';
import { historyEntryOf } from './run-history.js';
import type { WatchHub } from './watch-hub.js';

export const HEARTBEAT_MS = 15_000;
/** How long a client waits before it comes back. */
const RECONNECT_MS = 1_000;

export interface FollowedRun {
  readonly tenant: string;
  readonly runUuid: string;
  readonly afterVersion: number;
}

export async function* streamRun(
  hub: WatchHub,
  run: FollowedRun,
  signal: AbortSignal,
  heartbeatMs = HEARTBEAT_MS,
): AsyncGenerator<string, void, undefined> {
  yield `retry: ${RECONNECT_MS}\n\n`; // and with it the headers: the client knows at once that it is connected
  let afterVersion = run.afterVersion;
  while (!signal.aborted) {
    const beat = AbortSignal.timeout(heartbeatMs);
    const events = await hub.next({ ...run, afterVersion }, AbortSignal.any([signal, beat]));
    if (events.length === 0) {
      if (!beat.aborted) return; // (S3) client gone, or draining
      yield ': heartbeat\n\n'; // (S2)
      continue;
    }
    yield events.map(frameOf).join('');
    if (events.some(({ status }) => isTerminal(status))) return; // (S3)
    afterVersion = events.at(-1)?.version ?? afterVersion; // (S1)
  }
}

function frameOf(row: HistoryRow): string {
  const entry = historyEntryOf(row);
  return `id: ${row.version}\nevent: ${eventNameOf(row.type)}\ndata: ${JSON.stringify(entry)}\n\n`;
}

/** `dev.holdfast.run.retry-scheduled.v1` is `run.retry-scheduled` to a listener in a page. */
function eventNameOf(type: string): string {
  return /^dev\.holdfast\.(run\.[a-z-]+)\.v\d+$/.exec(type)?.[1] ?? 'message';
}
