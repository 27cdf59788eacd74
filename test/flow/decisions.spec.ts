/**
 * What people decide, as the outside sees it: the caller over HTTP, a reader of the topics, and what OpenAI is asked and paid. Real:
 * api and processors as processes of their own, kill -9, Postgres, Kafka. Stands in: the simulator for OpenAI, with a charge counter.
 * Every decision in every state, with deaths at each side, is in test/integration/processor/decisions.spec.ts.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decisionNameOf, topics } from '#libs/contracts';
import { uuidOf, type RunId } from '#libs/domain';
import { repositoryRoot } from '../../dev/stack/repository.js';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { storyOf } from '../support/run-story.js';
import { seededShuffle } from '../support/seeded-shuffle.js';
import { sections, slowTender } from '../support/slow-tender.js';
import { headerOf, type SeenRecord } from '../support/topic-watch.js';

let flow: Flow;
/** Runs about which something was decided, by now all ended. */
const decided: string[] = [];
beforeAll(async () => {
  flow = await openFlow({ processors: 2, env: { OPENAI_CONVERSATIONS: 'off' } });
});
afterAll(async () => flow?.close());
afterEach(async () => flow.simulator.clearScript());

const MINUTE_MS = 60_000;

describe('a cancel', () => {
  it('in the middle of a tender: what runs is cancelled at OpenAI, nothing more is asked, what is done is paid and told', async () => {
    const { runs, simulator } = flow;
    const id = await slowTender(flow);
    await runs.decide(id, 'cancel', { reason: 'the tender was withdrawn' });
    await ending(id, 'cancelled');

    expect(await callStatesOf(id)).toEqual({ done: 3, cancelled: 8 });
    expect(await simulator.callsOf(id)).toHaveLength(3 + 8);
    await flow.published();
    const story = await storyOf(flow.watch, id);
    expect(story.slice(-2).map(({ name }) => name)).toEqual([
      ...['RunDecisionApplied', 'RunCancelled'],
    ]);
    expect(story.at(-1)?.data).toMatchObject({ usage: { calls: 3 } });
    expect(await runs.decisions(id)).toMatchObject([{ decision: 'cancel', state: 'applied' }]);
  });

  it('of a call that ends while it is cancelled: the result that was paid for is booked, the run ends as cancelled', async () => {
    const { runs, simulator } = flow;
    const question = 'Who ends first?';
    await simulator.script(
      slow(question, 2_500),
      // The cancel comes through, but its answer takes until the response has ended.
      { match: { operation: 'cancel' }, fault: { kind: 'status', status: 503 }, times: 'always' },
    );
    const { id } = await runs.ask(question);
    await accepted(id);
    await runs.decide(id, 'cancel');
    await ending(id, 'cancelled');
    expect(await callStatesOf(id)).toEqual({ done: 1 });
    await flow.published();
    const story = await storyOf(flow.watch, id);
    expect(story.at(-1)?.data).toMatchObject({ status: 'cancelled', usage: { calls: 1 } });
  });

  it.each(['before', 'after'] as const)(
    '%s kill -9 of the processor that holds the call: another one cancels it at OpenAI, and answers once',
    async (when) => {
      const { runs, simulator } = flow;
      const question = `Cancelled ${when} its processor died?`;
      await simulator.script(slow(question, MINUTE_MS));
      const { id } = await runs.ask(question);
      await accepted(id);
      const owner = await flow.ownerOf(id);
      if (when === 'after') await owner.killHard();
      await runs.decide(id, 'cancel');
      if (when === 'before') {
        await stored(id);
        await owner.killHard();
      }
      await ending(id, 'cancelled');
      expect(await callStatesOf(id)).toEqual({ cancelled: 1 });
      expect(await simulator.callsOf(id)).toHaveLength(1);
      await flow.published();
      const names = (await storyOf(flow.watch, id)).map(({ name }) => name);
      expect(names.filter((name) => name === 'RunDecisionApplied')).toHaveLength(1);
      expect(names.at(-1)).toBe('RunCancelled');
      await flow.scene.startProcessor();
    },
  );

  it('while the run waits to be tried again: it ends at once, and the retry that is on its way calls nothing', async () => {
    const { runs, simulator } = flow;
    const question = 'Throttled, then cancelled?';
    await simulator.script({
      match: { inputIncludes: question },
      fault: { kind: 'status', status: 429, headers: { 'retry-after': '6' } },
    });
    const { id } = await runs.ask(question);
    await ending(id, 'retrying');
    await runs.decide(id, 'cancel');
    await ending(id, 'cancelled');
    await eventually('the retry is settled', async () => {
      const retries = flow.watch.seen.filter(
        ({ topic, key }) => topic.includes('.retry.') && key?.toString() === id,
      );
      return retries.length > 0;
    });
    await flow.watch.settledByAll();
    expect(await simulator.callsOf(id)).toHaveLength(1);
    expect((await runs.view(id)).run.status).toBe('cancelled');
  });
});

describe('a redrive', () => {
  it('of a tender: finished sections stay finished, the one that failed is called once more, each is paid once', async () => {
    const { runs, simulator } = flow;
    await simulator.script({
      match: { inputIncludes: '<document_section', nth: 5 },
      fault: { kind: 'status', status: 400, code: 'invalid_value' },
    });
    const file = join(repositoryRoot, 'dev/samples/larkmoor-patient-booking.md');
    const { id } = await runs.readTender(await readFile(file, 'utf8'));
    await ending(id, 'needs_review');
    expect(await simulator.callsOf(id)).toHaveLength(sections);
    expect(Object.values(await simulator.chargesOf(id))).toEqual(Array(sections - 1).fill(1));

    await runs.decide(id, 'redrive', { reason: 'the template is mended' });
    await runs.completion(id);
    decided.push(id);
    expect(await simulator.callsOf(id)).toHaveLength(sections + 1);
    expect(Object.values(await simulator.chargesOf(id))).toEqual(Array(sections).fill(1));
    expect((await runs.view(id)).run).toMatchObject({ attempt: 1, failure: null });
  });

  it('of a run whose reply was lost calls again, and books the lost call as a possible duplicate', async () => {
    const { runs, simulator } = flow;
    const question = 'Lost on the way?';
    await simulator.script({
      match: { inputIncludes: question },
      fault: { kind: 'reset_after_charge' },
    });
    const { id } = await runs.ask(question);
    await ending(id, 'needs_review');
    await runs.decide(id, 'redrive');
    await runs.completion(id);
    decided.push(id);
    expect(Object.values(await simulator.chargesOf(id))).toEqual([1, 1]);
    const { rows } = await flow.database.query(
      `SELECT try, possible_duplicate FROM processor.calls WHERE run_id = $1 ORDER BY try`,
      [uuidOf(id as RunId)],
    );
    expect(rows).toEqual([
      { try: 0, possible_duplicate: true },
      { try: 1, possible_duplicate: false },
    ]);
  });
});

it('a discard ends the run with the reason; a completion by hand ends it with the result', async () => {
  const { runs, simulator } = flow;
  const discarded = await inReview('Given up?');
  await runs.decide(discarded, 'discard', { reason: 'asked twice' });
  await ending(discarded, 'failed');
  expect((await runs.view(discarded)).run.failure).toMatchObject({
    ...{ class: 'discarded', message: 'asked twice' },
  });
  const completed = await inReview('By hand?');
  const result = { answer: 'By hand.', refused: false };
  await runs.decide(completed, 'complete', { result });
  await runs.completion(completed);
  expect(await runs.result(completed)).toEqual(result);
  for (const id of [discarded, completed]) {
    expect(await simulator.callsOf(id)).toHaveLength(1);
    decided.push(id);
  }
});

it.each([7, 20_261_124])(
  'every request and decision again, three times each, in an order drawn from seed %i: answers are repeated, nothing changes',
  async (seed) => {
    await flow.published();
    const before = await Promise.all(decided.map(everythingOf));
    const records = flow.watch.seen.filter(
      ({ topic, key }) => topic === topics.runRequested && decided.includes(String(key)),
    );
    const ids = new Set(records.map((record) => headerOf(record, 'ce_id')));
    const once = [...ids].map((id) => records.find((each) => headerOf(each, 'ce_id') === id)!);
    const decisions = once.filter((each) => decisionNameOf(headerOf(each, 'ce_type') ?? ''));
    expect(decisions).toHaveLength(decided.length);
    const again = seededShuffle(Array<SeenRecord[]>(3).fill(once).flat(), seed);
    for (const record of again) await flow.watch.send([record]);
    await flow.watch.settledByAll();
    await flow.published();
    expect(await Promise.all(decided.map(everythingOf))).toEqual(before);
  },
);

const slow = (question: string, ms: number) => ({
  match: { inputIncludes: question },
  fault: { kind: 'latency', ms } as const,
});

async function ending(id: string, status: string): Promise<void> {
  await flow.runs.streamUntil(id, status, (entry) => entry.status === status);
  if (status === 'cancelled') decided.push(id);
}

async function inReview(question: string): Promise<string> {
  await flow.simulator.script({
    match: { inputIncludes: question },
    fault: { kind: 'status', status: 400, code: 'invalid_value' },
  });
  const { id } = await flow.runs.ask(question);
  await ending(id, 'needs_review');
  return id;
}

async function accepted(id: string): Promise<void> {
  await eventually('its call is at OpenAI', async () => (await callStatesOf(id))['accepted'] === 1);
}

/** The processor has the cancel. */
async function stored(id: string): Promise<void> {
  await eventually('the cancel is stored', async () => {
    const { rows } = await flow.database.query(
      `SELECT FROM processor.decisions WHERE run_id = $1`,
      [uuidOf(id as RunId)],
    );
    return rows.length > 0;
  });
}

/** How many of the run's calls are in each state of the ledger. */
async function callStatesOf(id: string): Promise<Record<string, number>> {
  const { rows } = await flow.database.query<{ state: string; calls: number }>(
    `SELECT state, count(*)::int AS calls FROM processor.calls WHERE run_id = $1 GROUP BY state`,
    [uuidOf(id as RunId)],
  );
  return Object.fromEntries(rows.map(({ state, calls }) => [state, calls]));
}

/** All that anybody can see of a run, and the processor's own row. */
async function everythingOf(id: string): Promise<object> {
  const { runs, simulator, watch, database } = flow;
  const [view, decisions, calls, { rows }] = await Promise.all([
    runs.view(id),
    runs.decisions(id),
    simulator.callsOf(id),
    database.query<object>(`SELECT * FROM processor.executions WHERE run_id = $1`, [
      uuidOf(id as RunId),
    ]),
  ]);
  return { view, decisions, calls, rows, story: await storyOf(watch, id) };
}
