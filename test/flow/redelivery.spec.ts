/**
 * Messages that come again. Real: api, processor, Postgres, Kafka, and the very records of the log, put there again byte for byte.
 * Stands in: the simulator for OpenAI, with a charge counter.
 */
import { topics, consumerGroups } from '#libs/contracts';
import { uuidOf, type RunId } from '#libs/domain';
import { openFlow, type Flow } from '../support/flow.js';
import { seededShuffle } from '../support/seeded-shuffle.js';
import { storyOf } from '../support/run-story.js';
import { headerOf, type SeenRecord } from '../support/topic-watch.js';

const copies = 3;
const seeds = [1, 20_260_118];

let flow: Flow;
let runs: { readonly plain: string; readonly retried: string };
beforeAll(async () => {
  flow = await openFlow();
});
afterAll(async () => flow?.close());

it('the first request again, while the run waits for its retry: it is not admitted, and the retry is not sent again', async () => {
  const question = 'Which currency do we bid in?';
  await flow.simulator.script({
    match: { inputIncludes: question },
    fault: { kind: 'status', status: 429, headers: { 'retry-after': '9' } },
  });
  const [plain, retried] = await Promise.all([
    flow.runs.ask('What is the bid bond?'),
    flow.runs.ask(question),
  ]);
  runs = { plain: plain.id, retried: retried.id };
  await flow.runs.completion(plain.id);
  const isRetrying = ({ status }: { status: string }) => status === 'retrying';
  await flow.runs.streamUntil(retried.id, 'retry', isRetrying);
  await flow.published();
  const before = await rowOf(retried.id);
  const requested = flow.watch.of(topics.runRequested, retried.id);
  expect(requested).toHaveLength(1);
  await flow.watch.send(Array<SeenRecord[]>(copies).fill(requested).flat());
  await flow.watch.settledBy(consumerGroups.admitRuns);
  await flow.published();
  expect(await rowOf(retried.id)).toEqual(before);
  expect(before).toMatchObject({ status: 'retrying', dispatch: 2, hop: 0 });
  expect(retriesOf(retried.id)).toHaveLength(1);

  await flow.runs.completion(retried.id);
  expect(await flow.simulator.callsOf(retried.id)).toHaveLength(2); // the one that was throttled, and the one that was not
});

it.each(seeds)(
  'every message of finished runs again, three times each, in an order drawn from seed %i: nothing changes',
  async (seed) => {
    const ids = Object.values(runs);
    await flow.published();
    const before = await Promise.all(ids.map(everythingOf));
    const records = ids.flatMap(recordsOf);
    const distinct = [...new Map(records.map((each) => [headerOf(each, 'ce_id'), each])).values()];
    expect(distinct.map(({ topic }) => topic)).toEqual(
      expect.arrayContaining([
        topics.runRequested,
        topics.runEvents,
        `${topics.runRequested}.retry.5s`,
      ]),
    );
    const again = seededShuffle(Array<SeenRecord[]>(copies).fill(distinct).flat(), seed);
    for (const record of again) await flow.watch.send([record]);
    await flow.watch.settledByAll();
    await flow.published();

    expect(await Promise.all(ids.map(everythingOf))).toEqual(before);
    expect(ids.flatMap(recordsOf)).toHaveLength(records.length + again.length); // those we sent, and no other
    expect(flow.watch.seen.filter(({ topic }) => topic === topics.runRequestedDeadLetters)).toEqual(
      [],
    );
  },
);

/** All that anybody can see of a run, and the processor's own row. */
async function everythingOf(id: string): Promise<object> {
  const [view, history, charges, calls, row] = await Promise.all([
    flow.runs.view(id),
    flow.runs.history(id),
    flow.simulator.chargesOf(id),
    flow.simulator.callsOf(id),
    rowOf(id),
  ]);
  expect(view.run).toMatchObject({ status: 'completed' });
  expect(Object.values(charges)).toEqual([1]);
  return { view, history, charges, calls, row, story: await storyOf(flow.watch, id) };
}

function recordsOf(id: string): SeenRecord[] {
  const work = flow.watch.of(topics.runRequested, id);
  return [...work, ...retriesOf(id), ...flow.watch.of(topics.runEvents, id)];
}

function retriesOf(id: string): SeenRecord[] {
  return flow.watch.seen.filter(
    ({ topic, key }) => topic.includes('.retry.') && key?.toString() === id,
  );
}

/** The whole row, as it is and when it was last written. */
async function rowOf(id: string): Promise<object | undefined> {
  const { rows } = await flow.database.query<object>(
    `SELECT e.*, e.xmin::text AS written_by FROM processor.executions e WHERE run_id = $1`,
    [uuidOf(id as RunId)],
  );
  return rows[0];
}
