/**
 * An owner that comes back too late: the process was frozen past its lease, or its write hung in the network. Real: api and
 * processors as processes of their own, SIGSTOP and SIGCONT, Postgres, Kafka. Stands in: the simulator for OpenAI, with a charge
 * counter; a TCP proxy between one processor and Postgres.
 */
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { HeldNetwork } from '../support/held-network.js';
import { storyOf } from '../support/run-story.js';
import { sections, slowTender } from '../support/slow-tender.js';

let flow: Flow;
let network: HeldNetwork;
beforeAll(async () => {
  flow = await openFlow({ processors: 0, env: { PROCESSOR_DRAIN_MS: '1000' } });
  network = await HeldNetwork.before(flow.scene.database.url);
});
afterAll(async () => {
  await flow?.close();
  await network?.close();
});
afterEach(async () => flow.simulator.clearScript());

it('a write that was on its way when the lease ran out changes nothing of the run that another has', async () => {
  const { runs, simulator } = flow;
  const late = await flow.scene.startProcessor({ PROCESSOR_DATABASE_URL: network.url });
  const id = await slowTender(flow);
  // From here on it locks rows for writes under its fence only. The next one tells its progress, 3 to 5 of 12.
  const held = network.holdFrom('processor.executions.lock');
  await simulator.finish(1);
  await held;
  const other = await flow.scene.startProcessor();
  await late.line(/lease lost; work on it is stopped/);
  await eventually('the other has the run', async () => {
    return (await flow.ownerOf(id)).pid === other.pid;
  });
  await simulator.finish(3);
  const isFurther = ({ data }: { data: unknown }) => itemsDone(data) > 5;
  await runs.streamUntil(id, 'progress of the other, past 5 of 12', isFurther);

  network.release(); // the other is still at work: four sections are at the model
  expect(await late.stop()).toEqual({ code: 0, signal: null }); // so its write has been answered
  expect((await flow.ownerOf(id)).pid).toBe(other.pid);
  await simulator.finish();
  await expectOneOutcome(id);
  await other.stop();
  expect(Object.values(await simulator.chargesOf(id))).toEqual(Array(sections).fill(1));
});

it('a processor frozen past its lease and thawed changes nothing: the result of the other stands', async () => {
  const { runs, simulator } = flow;
  // Both are there before the run is: nothing is waited for between the sign that it is under way and the freeze.
  await Promise.all([flow.scene.startProcessor(), flow.scene.startProcessor()]);
  const id = await slowTender(flow);
  const frozen = await flow.ownerOf(id);
  frozen.freeze();
  await simulator.finish();
  await runs.completion(id);
  const { run: before, etag } = await runs.view(id);
  const result = await runs.result(id);

  frozen.thaw();
  await frozen.line(/lease lost; work on it is stopped/);
  expect(await frozen.stop()).toEqual({ code: 0, signal: null }); // so everything it still wanted to write is answered
  await expectOneOutcome(id);
  expect(await runs.view(id)).toEqual({ run: before, etag });
  expect(await runs.result(id)).toEqual(result);
  expect(Object.values(await simulator.chargesOf(id))).toEqual(Array(sections).fill(1));
  expect(await simulator.callsOf(id)).toHaveLength(sections);
});

/** Completed; told once, in order, without a step back; and the api holds what the topic holds. */
async function expectOneOutcome(id: string): Promise<void> {
  await flow.runs.completion(id);
  await flow.published();
  await flow.watch.settledByAll();
  const story = await storyOf(flow.watch, id);
  expect(story.map(({ name }) => name).filter((name) => name === 'RunCompleted')).toHaveLength(1);
  const history = await flow.runs.history(id);
  expect(history.map((entry) => entry.id)).toEqual(story.map((event) => event.id));
}

function itemsDone(data: unknown): number {
  return (data as { progress?: { itemsDone?: number | null } }).progress?.itemsDone ?? 0;
}
