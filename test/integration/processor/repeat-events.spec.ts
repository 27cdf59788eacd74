/**
 * What the processor answers when the api sends a request or a decision again. Real: Postgres, the processor's stores. Stands in:
 * Kafka: messages are handed over as they would be read.
 */
import type { DecisionName } from '#libs/domain';
import {
  aDecision,
  aFailure,
  aWork,
  completed,
  openProcessorFixture,
  progressed,
  retryLater,
  type ProcessorFixture,
  type SpecProcessor,
} from './processor-fixture.js';

let fixture: ProcessorFixture;
let one: SpecProcessor;
let two: SpecProcessor;

beforeAll(async () => {
  fixture = await openProcessorFixture();
  [one, two] = [fixture.processor('one'), fixture.processor('two')];
});
afterAll(() => fixture.stop());
beforeEach(() => fixture.empty());

const waitHere = {
  kind: 'wait_here',
  attempt: 2,
  delayMs: 1_500,
  reason: 'throttled',
  failure: aFailure(),
  progress: progressed(3).progress,
} as const;
const needsReview = { kind: 'needs_review', failure: aFailure() } as const;

type Story = (runId: string) => Promise<unknown>;
const begun: Story = () => one.claims.claim(1);
const move =
  (outcome: Parameters<SpecProcessor['moves']['move']>[1]): Story =>
  async () => {
    const [claim] = await one.claims.claim(1);
    await one.moves.move(claim!, outcome);
  };
const then =
  (...stories: Story[]): Story =>
  async (runId) => {
    for (const story of stories) await story(runId);
  };
const decided =
  (decision: DecisionName): Story =>
  (runId) =>
    one.admit.admit(aDecision(runId, decision));
const lostLease: Story = async (runId) => {
  await fixture.expire(runId);
  await two.rescue.rescueExpired();
};
const announced: Story = async () => {
  await fixture.sql(`UPDATE processor.executions SET ready_since = now() - interval '20 s'`);
  await one.announce.announce(5);
};
const admittedRetry: Story = async () => {
  await fixture.sql(
    `UPDATE processor.executions SET next_attempt_at = now() - interval '9 s' WHERE status = 'retrying'`,
  );
  await one.rescue.admitOverdue(4_000);
};

const stories: readonly (readonly [told: string, story: Story])[] = [
  ['RunQueued, waiting', announced],
  ['RunStarted, running', begun],
  ['RunStarted, then its lease was lost', then(begun, lostLease)],
  ['RunProgressed', move(progressed(7))],
  ['RunProgressed, waiting under its lease', move(waitHere)],
  ['RunRetryScheduled', move(retryLater(60_000))],
  ['RunRetryScheduled by the rescuer', then(begun, lostLease, begun, lostLease)],
  ['RunRetryScheduled, cancelled meanwhile', then(move(retryLater(60_000)), decided('cancel'))],
  ['RunNeedsReview', move(needsReview)],
  ['RunDecisionRefused', then(begun, decided('redrive'))],
  ['RunQueued by a redrive', then(move(needsReview), decided('redrive'))],
  ['RunFailed by a discard', then(move(needsReview), decided('discard'))],
  ['RunCompleted by hand', then(move(needsReview), decided('complete'))],
  ['RunCancelled', decided('cancel')],
  ['RunCompleted', move(completed)],
];

describe('a run that the api asks about', () => {
  it.each(stories)('says again what it said last: %s', async (_told, story) => {
    const work = aWork();
    await one.admit.admit(work);
    await story(work.runId);
    const before = await fixture.row(work.runId);
    const said = await fixture.events(work.runId);

    expect(await two.admit.admit({ ...work, seenVersion: 0 })).toEqual({ kind: 'repeat' });

    const [repeat, ...more] = (await fixture.events(work.runId)).slice(said.length);
    const newest = said.at(-1)!;
    expect(more).toEqual([]);
    expect(withoutInlineResult(repeat!)).toEqual(
      withoutInlineResult({ ...newest, repeated: true }),
    );
    expect(repeat!.version).toBe(before.version);
    expect(await fixture.row(work.runId)).toEqual(before);
  });

  it('says what its retry waits for, after that was admitted, too', async () => {
    const work = aWork();
    await one.admit.admit(work);
    await move(retryLater(60_000))(work.runId);
    const [, scheduled] = await fixture.events(work.runId);
    await admittedRetry(work.runId);
    await one.admit.admit({ ...work, seenVersion: 1 });
    const repeat = (await fixture.events(work.runId)).at(-1);
    expect(repeat).toMatchObject({ id: scheduled!.id, data: scheduled!.data });
  });

  it('says nothing where it has told nothing yet, or its details are gone', async () => {
    const work = aWork();
    await one.admit.admit(work);
    await one.admit.admit({ ...work, seenVersion: 0 });
    expect(await fixture.events(work.runId)).toEqual([]);
    await move(completed)(work.runId);
    await fixture.sql('UPDATE processor.executions SET expired_at = now(), result_ref = NULL');
    await one.admit.admit({ ...work, seenVersion: 0 });
    expect(await fixture.events(work.runId)).toHaveLength(2);
  });

  it('was not asked about where Kafka delivers its request again', async () => {
    const work = aWork();
    await one.admit.admit(work);
    await move(completed)(work.runId);
    for (let again = 0; again < 5; again++) await two.admit.admit(work);
    expect(await fixture.events(work.runId)).toHaveLength(2);
  });

  it('says it once for all questions of one batch, of many runs at once', async () => {
    const works = Array.from({ length: 120 }, () => aWork());
    await Promise.all(works.map((work) => one.admit.admit(work)));
    await fixture.sql(`UPDATE processor.executions SET ready_since = now() - interval '20 s'`);
    await one.announce.announce(200);
    await Promise.all(works.map((work) => one.admit.admit({ ...work, seenVersion: 1 })));
    const events = await fixture.events();
    expect(events).toHaveLength(240);
    expect(new Set(events.map(({ id }) => id)).size).toBe(120);
  });
});

describe('a request that comes first as one sent again', () => {
  it('is admitted like any other where the api has heard nothing of the run', async () => {
    const work = aWork({ seenVersion: 0 });
    expect(await one.admit.admit(work)).toEqual({ kind: 'insert' });
    expect(await fixture.row(work.runId)).toMatchObject({ status: 'ready', version: 0 });
  });

  it('is put before a person where the api has heard of it: the run was lost here, and is not done again', async () => {
    const work = aWork({ seenVersion: 4 });
    expect(await one.admit.admit(work)).toEqual({ kind: 'insert_forgotten' });
    expect(await one.claims.claim(5)).toEqual([]);
    expect(await fixture.row(work.runId)).toMatchObject({
      ...{ status: 'needs_review', version: 5, request: work.request },
      failure: expect.objectContaining({ code: 'run_forgotten' }) as object,
    });
    await one.admit.admit(aDecision(work.runId, 'redrive'));
    expect(await one.claims.claim(5)).toHaveLength(1);
    const versions = (await fixture.events(work.runId)).map(({ version }) => version);
    expect(versions).toEqual([5, 6, 7, 8]);
  });
});

it('a decision that is sent again is answered with the answer of the first one, marked as a repeat', async () => {
  const work = aWork();
  const decision = aDecision(work.runId, 'cancel');
  await one.admit.admit(work);
  await one.admit.admit(decision);
  const [answer] = await fixture.events(work.runId);
  const repeated = { kind: 'repeated' };
  expect(await two.admit.admit({ ...decision, isReemitted: true })).toEqual(repeated);
  const again = (await fixture.events(work.runId)).at(-1);
  expect(again).toEqual({ ...answer, seq: again!.seq, repeated: true });
});

/** A result travels once; a repeat names where it is. */
function withoutInlineResult<Event extends { readonly seq: bigint; readonly data: unknown }>({
  seq: _seq,
  ...event
}: Event) {
  const { result: _result, ...data } = event.data as Record<string, unknown>;
  return { ...event, data };
}
