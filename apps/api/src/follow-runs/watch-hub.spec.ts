import type { HistoryRow, RunNews, Watch } from './follow-runs.store.js';
import { historyEntryOf } from './run-history.js';
import { runViewOf, type RunRow } from '../schema/index.js';
import { NOTHING_SEEN, seenIdOf, type SeenRun } from './stream-place.js';
import { streamRuns } from './stream-runs.js';
import { WatchHub } from './watch-hub.js';

/** Stands in for the read model: a history per run, and a read that can be held up or made to fail. */
class Histories {
  readonly reads: (readonly Watch[])[] = [];
  private readonly rows = new Map<string, HistoryRow[]>();
  fault: Error | undefined;
  held: Promise<void> = Promise.resolve();

  add(runUuid: string, status: HistoryRow['status'] = 'running'): void {
    const rows = this.rows.get(runUuid) ?? [];
    const version = rows.length + 1;
    const occurredAt = new Date(0);
    const event = { runId: runUuid, version, eventId: `e${version}`, status, occurredAt, body: {} };
    this.rows.set(runUuid, [...rows, { ...event, type: 'dev.holdfast.run.started.v1' }]);
  }

  async news(watches: readonly Watch[]): Promise<RunNews[][]> {
    this.reads.push(watches);
    await this.held;
    if (this.fault) throw this.fault;
    return watches.map(({ runUuid, afterVersion }) =>
      (this.rows.get(runUuid) ?? [])
        .filter(({ version }) => version > afterVersion)
        .map((row) => ({ kind: 'event', row })),
    );
  }
}

const forever = new AbortController().signal;
const watch = (runUuid: string, afterVersion = 0): Watch => ({
  tenant: 'default',
  runUuid,
  afterVersion,
  afterRevision: 0,
});

const followed = (runUuid: string) => {
  return { tenant: 'default', runUuid, seen: NOTHING_SEEN, ended: false };
};
const form = {
  idOf: (seen: readonly SeenRun[]) => seen.map(seenIdOf).join('.'),
  entryOf: historyEntryOf,
  viewOf: (run: RunRow) => runViewOf(run, 0),
};

describe('the hub', () => {
  it('answers at once what is there, and later what comes, without a hint too', async () => {
    const histories = new Histories();
    const hub = new WatchHub(histories, { everyMs: 10 });
    histories.add('a');
    expect(await hub.next(watch('a'), forever)).toMatchObject([{ row: { version: 1 } }]);
    const later = hub.next(watch('a', 1), forever);
    await new Promise((resolve) => setTimeout(resolve, 25));
    histories.add('a');
    expect(await later).toMatchObject([{ row: { version: 2 } }]);
    hub.close();
  });

  it('reads once for all who wait, and not at all when nobody does', async () => {
    const histories = new Histories();
    const hub = new WatchHub(histories, { everyMs: 5 });
    const hold = Promise.withResolvers<void>();
    histories.held = hold.promise;
    const waiting = ['a', 'b', 'c', 'd'].map((run) => hub.next(watch(run), forever));
    for (const run of ['a', 'b', 'c', 'd']) histories.add(run);
    hold.resolve();
    await Promise.all(waiting);
    // The first read began with the first watcher; the second took all who had come since.
    expect(histories.reads.map((watches) => watches.length)).toEqual([1, 3]);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(histories.reads).toHaveLength(2);
  });

  it('answers each of those who wait for several runs with theirs only', async () => {
    const histories = new Histories();
    const hub = new WatchHub(histories, { everyMs: 5 });
    const ofTwo = hub.nextOf([watch('a'), watch('b')], forever);
    const ofOther = hub.nextOf([watch('c'), watch('d', 1)], forever);
    histories.add('b');
    histories.add('c');
    histories.add('d');
    expect(await ofTwo).toMatchObject([{ row: { runId: 'b', version: 1 } }]);
    expect(await ofOther).toMatchObject([{ row: { runId: 'c', version: 1 } }]);
  });

  it('goes on after a read that failed', async () => {
    const histories = new Histories();
    const faults: unknown[] = [];
    const hub = new WatchHub(histories, { everyMs: 5, onError: (error) => faults.push(error) });
    histories.fault = new Error('Postgres is away');
    histories.add('a');
    const answer = hub.next(watch('a'), forever);
    await new Promise((resolve) => setTimeout(resolve, 20));
    histories.fault = undefined;
    expect(await answer).toHaveLength(1);
    expect(faults.length).toBeGreaterThan(0);
    hub.close();
  });

  it('lets go of a watcher whose client has gone, and of all when it closes', async () => {
    const hub = new WatchHub(new Histories(), { everyMs: 5 });
    const gone = new AbortController();
    const left = hub.next(watch('a'), gone.signal);
    const stays = hub.next(watch('b'), forever);
    gone.abort();
    expect(await left).toEqual([]);
    hub.close();
    expect(await stays).toEqual([]);
    expect(await hub.next(watch('c'), forever)).toEqual([]);
  });
});

describe('a stream', () => {
  it('beats while nothing happens, and ends after the event that ends the run', async () => {
    const histories = new Histories();
    const hub = new WatchHub(histories, { everyMs: 5 });
    const stream = streamRuns(hub, [followed('a')], form, forever, 20);
    expect((await stream.next()).value).toBe('retry: 1000\n\n');
    expect((await stream.next()).value).toBe(': heartbeat\n\n');
    histories.add('a');
    expect((await stream.next()).value).toMatch(/^id: 1\nevent: run\.started\ndata: \{.*\}\n\n$/);
    histories.add('a', 'completed');
    expect((await stream.next()).value).toMatch(/^id: 2\n/);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it('of several runs says in each id what was seen of all, and ends with the last of them', async () => {
    const histories = new Histories();
    const hub = new WatchHub(histories, { everyMs: 5 });
    histories.add('a');
    histories.add('b', 'failed');
    const stream = streamRuns(hub, [followed('a'), followed('b')], form, forever);
    await stream.next();
    expect((await stream.next()).value).toMatch(/^id: 1\.0\n/);
    expect((await stream.next()).value).toMatch(/^id: 1\.1\n/);
    const last = stream.next();
    histories.add('a', 'completed');
    expect((await last).value).toMatch(/^id: 2\.1\n/);
    expect(await stream.next()).toMatchObject({ done: true });
    expect(histories.reads.at(-1)?.map(({ runUuid }) => runUuid)).toEqual(['a']);
  });

  it('ends without a word when its client has gone, and with a goodbye when the process drains', async () => {
    const hub = new WatchHub(new Histories(), { everyMs: 5 });
    const gone = new AbortController();
    const left = streamRuns(hub, [followed('a')], form, gone.signal, 60_000);
    const drained = streamRuns(hub, [followed('a')], form, forever, 60_000);
    await Promise.all([left.next(), drained.next()]);
    const [end, goodbye] = [left.next(), drained.next()];
    gone.abort();
    expect(await end).toEqual({ done: true, value: undefined });
    hub.close();
    expect((await goodbye).value).toMatch(/^: .*come back with Last-Event-ID\nretry: \d+\n\n$/);
    expect(await drained.next()).toEqual({ done: true, value: undefined });
  });
});
