/** Real: Postgres, the processor's stores. Stands in: Kafka: messages are handed over as they would be read. */
import { randomUUID } from 'node:crypto';
import { retryTopics } from '#libs/contracts';
import {
  aFailure,
  aWork,
  completed,
  dispatchOf,
  openProcessorFixture,
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

/** A run that waits for its second dispatch. */
async function aRetryingRun(delayMs: number) {
  const work = aWork();
  await one.admit.admit(work);
  const [claim] = await one.claims.claim(1);
  await one.moves.move(claim!, retryLater(delayMs));
  const [message] = await fixture.sent(work.runId);
  return { work: { ...work, ...dispatchOf(message!) }, runId: work.runId };
}

describe('a request', () => {
  it('becomes one row, ready to be claimed', async () => {
    const work = aWork({ traceparent: '00-1-2-01', tenant: 'bids' });
    expect(await one.admit.admit(work)).toEqual({ kind: 'insert' });
    expect(await fixture.row(work.runId)).toMatchObject({
      ...{ tenant: 'bids', model: 'gpt-5.2', status: 'ready', dispatch: 1, hop: 0, version: 0 },
      ...{ attempt: 1, max_attempts: 5, traceparent: '00-1-2-01', request: work.request },
      ...{ origin: work.origin, fence: 0n, next_attempt_at: null },
    });
  });

  it('that is delivered again changes nothing, wherever the run stands', async () => {
    const work = aWork();
    await one.admit.admit(work);
    const stands = async () => {
      const before = await fixture.row(work.runId);
      expect(await two.admit.admit(work)).toMatchObject({ kind: 'settle' });
      expect(await fixture.row(work.runId)).toEqual(before);
    };
    await stands();
    const [claim] = await one.claims.claim(1);
    await stands();
    await one.moves.move(claim!, completed);
    await stands();
    expect((await fixture.events(work.runId)).map(({ name }) => name)).toEqual([
      'RunStarted',
      'RunCompleted',
    ]);
  });

  it('that two processors get at once makes one row', async () => {
    const works = Array.from({ length: 200 }, () => aWork());
    const shuffled = works.toReversed();
    const answers = await Promise.all([
      ...works.map((work) => one.admit.admit(work)),
      ...shuffled.map((work) => two.admit.admit(work)),
    ]);
    expect(answers.every(({ kind }) => kind === 'insert' || kind === 'settle')).toBe(true);
    const rows = await fixture.sql<{ runs: bigint }>(
      'SELECT count(*) AS runs FROM processor.executions',
    );
    expect(rows).toEqual([{ runs: 200n }]);
  });

  it('of a run that this processor does not know is settled where it is not the first', async () => {
    expect(await one.admit.admit(aWork({ dispatch: 2 }))).toEqual({
      kind: 'settle',
      because: 'unknown_run',
    });
  });

  it('that this build cannot carry goes to a person, once', async () => {
    const unworkable = aFailure({ class: 'internal', code: 'workflow_unknown' });
    const work = aWork({ unworkable });
    await Promise.all([one.admit.admit(work), two.admit.admit(work)]);
    await one.admit.admit(work);
    expect(await fixture.row(work.runId)).toMatchObject({ status: 'needs_review', version: 1 });
    expect((await fixture.events(work.runId)).map(({ name }) => name)).toEqual(['RunNeedsReview']);
    expect((await fixture.sent(work.runId)).map(({ topic }) => topic)).toEqual([
      'holdfast.run.requested.v1.dlt',
    ]);
  });
});

describe('a retry', () => {
  it('makes the run ready only with the dispatch that is due', async () => {
    const { work, runId } = await aRetryingRun(5_000);
    const settled = { kind: 'settle', because: 'stale' };
    expect(await one.admit.admit({ ...work, dispatch: 1 })).toEqual(settled);
    expect(await one.admit.admit({ ...work, dispatch: 3 })).toEqual(settled);
    expect(await one.admit.admit({ ...work, hop: 1 })).toEqual(settled);
    expect((await fixture.row(runId)).status).toBe('retrying');
    await fixture.sql(`UPDATE processor.executions SET next_attempt_at = now() + interval '4 s'`);
    expect(await one.admit.admit(work)).toEqual({ kind: 'make_ready' });
    expect(await two.admit.admit(work)).toEqual({ kind: 'settle', because: 'duplicate' });
  });

  it("that comes a little early is not claimed before its time, by the database's clock", async () => {
    const { work } = await aRetryingRun(5_000);
    await fixture.sql(`UPDATE processor.executions SET next_attempt_at = now() + interval '3 s'`);
    await one.admit.admit(work);
    expect(await one.claims.claim(5)).toEqual([]);
    await fixture.sql(`SELECT pg_sleep(3.05)`);
    expect(await one.claims.claim(5)).toHaveLength(1);
  });

  it('that has to wait longer hops on, once, though two processors get it', async () => {
    const { work, runId } = await aRetryingRun(45_000);
    const answers = await Promise.all([one.admit.admit(work), two.admit.admit(work)]);
    expect(answers.map(({ kind }) => kind).sort()).toEqual(['hop', 'settle']);
    expect(await fixture.row(runId)).toMatchObject({ status: 'retrying', hop: 1, dispatch: 2 });
    const sent = await fixture.sent(runId);
    expect(sent.map(({ topic }) => topic.split('.').at(-1))).toEqual(['30s', '30s']);
    expect(dispatchOf(sent[1]!)).toEqual({ dispatch: 2, hop: 1 });
    expect(await two.admit.admit(work)).toEqual({ kind: 'settle', because: 'stale' });
    expect(await two.admit.admit({ ...work, hop: 1 })).toMatchObject({ kind: 'hop' });
    expect((await fixture.row(runId)).hop).toBe(2);
  });
});

describe('a wait that no tier fits', () => {
  const times = (count: number, tier: string) => Array<string>(count).fill(tier);
  const waits: readonly [what: string, waitMs: number, tiers: readonly string[]][] = [
    ['45 s', 45_000, ['30s', ...times(2, '5s')]],
    ['7 minutes', 420_000, [...times(3, '2m'), '30s', ...times(5, '5s')]],
    [
      '3 hours',
      10_800_000,
      [...times(17, '10m'), ...times(4, '2m'), ...times(3, '30s'), ...times(5, '5s')],
    ],
  ];
  /** A record comes out of its tier a little after its time. */
  const lateMs = 100;

  it.each(waits)(
    'of %s hops through the largest tier that still fits; what is left then is under 5 s, and waits on the row',
    async (_what, waitMs, tiers) => {
      const { work, runId } = await aRetryingRun(waitMs);
      let leftMs = waitMs;
      for (const [hop, name] of tiers.entries()) {
        const sent = await fixture.sent(runId);
        expect([sent.length, sent.at(-1)?.topic]).toEqual([hop + 1, `${retries}.${name}`]);
        expect(dispatchOf(sent.at(-1)!)).toEqual({ dispatch: 2, hop });
        leftMs -= retryTopics.find(({ topic }) => topic === `${retries}.${name}`)!.delayMs + lateMs;
        await dueIn(runId, leftMs);
        const kind = hop === tiers.length - 1 ? 'make_ready' : 'hop';
        expect(await one.admit.admit({ ...work, hop })).toMatchObject({ kind });
      }
      expect(leftMs).toBeGreaterThan(0);
      expect(leftMs).toBeLessThan(5_000);
      expect(await fixture.row(runId)).toMatchObject({ status: 'ready', dispatch: 2 });
      expect(await one.claims.claim(5)).toEqual([]);
      await dueIn(runId, 0);
      expect(await one.claims.claim(5)).toHaveLength(1);
    },
  );

  const retries = 'holdfast.run.requested.v1.retry';
  const dueIn = (runId: string, ms: number) =>
    fixture.sql(
      `UPDATE processor.executions SET next_attempt_at = clock_timestamp() + make_interval(secs => $2::float8 / 1000)
       WHERE run_id = $1`,
      [runId, ms],
    );
});

describe('a batch that holds what Postgres refuses', () => {
  const poisoned = [
    ['a tenant with U+0000', aWork({ tenant: 'a\0b' })],
    ['a trace with U+0000', aWork({ traceparent: '\0' })],
    ['a version that is no int4', withRequest({ workflowVersion: 3_000_000_000 })],
    ['a deadline that is no instant to Postgres', withRequest({ deadlineAt: '2026-W01' })],
    ['a tenant too long for an index', aWork({ tenant: longText(9_000) })],
  ] as const;

  it.each(poisoned)('rejects only %s', async (_what, poison) => {
    const works = Array.from({ length: 40 }, () => aWork());
    const answers = await Promise.allSettled(
      [...works.slice(0, 20), poison, ...works.slice(20)].map((work) => one.admit.admit(work)),
    );
    const rejected = answers.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []));
    expect(rejected).toEqual([20]);
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(40);
  });

  it('keeps what only json holds: labels and references with U+0000 or half a character', async () => {
    const work = withRequest({ reference: 'a\0b', labels: { 'k\0': '\ud800 \0' } });
    await one.admit.admit(work);
    expect((await fixture.row(work.runId)).request).toEqual(work.request);
    const [claim] = await one.claims.claim(1);
    expect(await one.moves.move(claim!, retryLater(5_000))).toBe('written');
  });
});

function withRequest(changes: object) {
  const work = aWork();
  return { ...work, request: { ...work.request, ...changes } };
}

/** Not to be compressed. */
function longText(chars: number): string {
  return Array.from({ length: Math.ceil(chars / 36) }, () => randomUUID()).join('');
}
