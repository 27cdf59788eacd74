/**
 * The oracle: what a run's events on the topic say, held against what may never be otherwise. Knows nothing of how Holdfast
 * works inside.
 */
import {
  RUN_SPEND_SETTLED,
  runEventNameOf,
  topics,
  type RunEventBase,
  type RunEventName,
} from '#libs/contracts';
import type { RunProgress } from '#libs/domain';
import { headerOf, type SeenRecord, type TopicWatch } from './topic-watch.js';

export interface ToldEvent {
  readonly id: string;
  readonly name: RunEventName;
  readonly data: RunEventBase & { readonly progress?: RunProgress };
}

const terminal: readonly RunEventName[] = ['RunCompleted', 'RunFailed', 'RunCancelled'];

/**
 * The run's events in the order of the log, repeats (same id) dropped as any consumer drops them.
 * @throws where they are out of order, have gaps, end twice, or tell progress that goes backwards
 */
export async function storyOf(watch: TopicWatch, runId: string): Promise<readonly ToldEvent[]> {
  await watch.upToDate();
  const told = new Map(
    watch
      .of(topics.runEvents, runId)
      .filter((record) => headerOf(record, 'ce_type') !== RUN_SPEND_SETTLED)
      .map(eventOf)
      .map((e) => [e.id, e]),
  );
  const events = [...told.values()];
  const names = events.map(({ name, data }) => `${data.version} ${name}`);
  const hold = (isSo: boolean, rule: string) => {
    if (!isSo) throw new Error(`${runId}: ${rule}; it told ${names.join(', ')}`);
  };
  hold(
    events.every(({ data }, index) => data.version === index + 1),
    'versions must be 1 to n, in order',
  );
  const ends = events.filter(({ name }) => terminal.includes(name));
  hold(ends.length <= 1, 'a run ends once');
  hold(ends.length === 0 || ends[0] === events.at(-1), 'nothing comes after the end');
  const done = events.flatMap(({ data }) => data.progress?.itemsDone ?? []);
  hold(
    done.every((items, index) => items >= (done[index - 1] ?? 0)),
    `progress never goes back (${done.join(', ')})`,
  );
  return events;
}

function eventOf(record: SeenRecord): ToldEvent {
  const name = runEventNameOf(headerOf(record, 'ce_type') ?? '');
  if (name === undefined) throw new Error(`unknown event type ${headerOf(record, 'ce_type')}`);
  const data = JSON.parse(record.value?.toString() ?? '') as ToldEvent['data'];
  return { id: headerOf(record, 'ce_id') ?? '', name, data };
}
