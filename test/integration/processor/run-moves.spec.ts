/** Real: Postgres, the processor's stores. Stands in: nothing. */
import { runIdOf } from '#libs/domain';
import type { Claim } from '../../../apps/processor/src/execute-runs/claim.js';
import type { Outcome } from '../../../apps/processor/src/execute-runs/outcome.js';
import {
  aFailure,
  aWork,
  completed,
  dispatchOf,
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

async function claimed(runs = 1): Promise<[Claim, ...Claim[]]> {
  await fixture.insertReady('default', runs);
  return (await one.claims.claim(runs)) as [Claim, ...Claim[]];
}

const idOf = ({ run }: Claim) => run.run_id;
const waitHere = {
  kind: 'wait_here',
  delayMs: 3_000,
  attempt: 2,
  reason: 'backoff',
  failure: aFailure({ class: 'timeout' }),
  progress: progressed(1).progress,
} as const;
const needsReview = { kind: 'needs_review', failure: aFailure({ class: 'billing' }) } as const;
const failed = { kind: 'failed', failure: aFailure({ class: 'policy' }) } as const;
const released = { kind: 'released' } as const;
const everyOutcome: Outcome[] = [
  progressed(3),
  waitHere,
  retryLater(30_000),
  completed,
  needsReview,
  failed,
  released,
];

describe('the owner of a run', () => {
  it.each([
    ['progressed', progressed(3), { status: 'running', version: 2, tries: 0 }, ['RunProgressed']],
    ['wait_here', waitHere, { status: 'running', attempt: 2, tries: 1 }, ['RunProgressed']],
    [
      'retry_later',
      retryLater(30_000),
      { status: 'retrying', attempt: 2, tries: 1, dispatch: 2 },
      ['RunRetryScheduled'],
    ],
    [
      'completed',
      completed,
      { status: 'completed', result_ref: 'cnt_r', failure: null },
      ['RunCompleted'],
    ],
    ['needs_review', needsReview, { status: 'needs_review', tries: 1 }, ['RunNeedsReview']],
    ['failed', failed, { status: 'failed', tries: 1 }, ['RunFailed']],
    ['released', released, { status: 'ready', attempt: 1, tries: 0, version: 1 }, []],
  ] as const)('%s: row, event and fence together', async (_kind, outcome, row, told) => {
    const [claim] = await claimed();
    const fenceOfCall = await fixture.insertCall(idOf(claim), 1n);
    expect(await one.moves.move(claim, outcome)).toBe('written');
    const after = await fixture.row(idOf(claim));
    expect(after).toMatchObject(row);
    const events = await fixture.events(idOf(claim));
    expect(events.map(({ name }) => name)).toEqual(['RunStarted', ...told]);
    expect(after.version).toBe(events.length);
    const kept = after.status === 'running';
    expect(after).toMatchObject({ fence: kept ? 1n : 2n, owner: kept ? 'one' : null });
    expect(await fenceOfCall()).toBe(kept ? 1n : 2n);
    const attempts = await fixture.sql<{ ended_at: Date | null; outcome: string | null }>(
      'SELECT ended_at, outcome FROM processor.attempts',
    );
    const ended = after.status === 'ready' ? 'released' : after.status;
    expect(attempts).toMatchObject([{ outcome: kept ? null : ended }]);
  });

  it("sends a retry with the next dispatch by the tier that fits, due by the database's clock", async () => {
    const [claim] = await claimed();
    await one.moves.move(claim, retryLater(45_000));
    const row = await fixture.row(idOf(claim));
    const dueInMs = await fixture.sql<{ ms: number }>(
      `SELECT 1000 * extract(epoch FROM next_attempt_at - now())::float8 AS ms FROM processor.executions`,
    );
    expect(dueInMs[0]!.ms).toBeGreaterThan(43_000);
    expect(dueInMs[0]!.ms).toBeLessThanOrEqual(45_000);
    const [retry] = await fixture.sent(idOf(claim));
    expect(retry?.topic).toBe('holdfast.run.requested.v1.retry.30s');
    expect(dispatchOf(retry!)).toEqual({ dispatch: 2, hop: 0 });
    expect(Number(retry!.headers['x-holdfast-not-before'])).toBe(row.next_attempt_at!.getTime());
  });

  it('sends what a person must see to the dead letters, in the same transaction', async () => {
    const [claim] = await claimed();
    await one.moves.move(claim, needsReview);
    expect(await fixture.sent(idOf(claim))).toMatchObject([
      {
        topic: 'holdfast.run.requested.v1.dlt',
        headers: { 'x-holdfast-error-class': 'billing', 'x-holdfast-original-offset': '1' },
      },
    ]);
  });

  it('may write failures with U+0000 and half characters without harm to anybody', async () => {
    const claims = await claimed(9);
    const text = 'a\0b \ud800';
    const strange = aFailure({ class: 'bad_output', message: text, step: text, requestId: text });
    const result = { ref: 'cnt_r', inline: { text } };
    const answers = await Promise.all(
      claims.map((claim, index) =>
        one.moves.move(
          claim,
          (
            [
              { kind: 'needs_review', failure: strange },
              { kind: 'completed', result },
              progressed(1),
            ] as const
          )[index % 3]!,
        ),
      ),
    );
    expect(answers).toEqual(Array(9).fill('written'));
    expect((await fixture.row(idOf(claims[0]))).failure).toEqual(strange);
  });
});

describe('the largest request that is admitted', () => {
  it('leaves room for all that is ever said about it', async () => {
    const work = aWork();
    const request = { ...work.request, labels: { a: 'x'.repeat(261_000) } };
    const said = aFailure({ message: '\0'.repeat(1_000), code: 'c'.repeat(100) });
    const large = { inline: { text: 'y'.repeat(512 * 1024) }, ref: 'cnt_r' };
    for (const outcome of [
      { ...retryLater(5_000), failure: said },
      { kind: 'needs_review', failure: said },
      { kind: 'completed', result: large },
    ] as const) {
      const { runId } = aWork();
      await one.admit.admit({ ...work, runId, request });
      const [claim] = (await one.claims.claim(1)) as [Claim];
      expect(await one.moves.move(claim, outcome)).toBe('written');
    }
  });
});

describe('whoever has lost the run', () => {
  it('changes nothing and tells nobody, whatever he wants to write', async () => {
    for (const outcome of everyOutcome) {
      const [claim] = await claimed();
      const runId = idOf(claim);
      await fixture.expire(runId);
      await two.rescue.rescueExpired();
      const [newer] = (await two.claims.claim(1)) as [Claim];
      const [row, events] = [await fixture.row(runId), await fixture.events(runId)];
      expect(await one.moves.move(claim, outcome)).toBe('lost');
      expect(await fixture.row(runId)).toEqual(row);
      expect(await fixture.events(runId)).toEqual(events);
      expect(await fixture.sent(runId)).toEqual([]);
      expect(await two.moves.move(newer, completed)).toBe('written');
    }
  });

  it('changes nothing between his loss and the next claim', async () => {
    const [claim] = await claimed();
    await fixture.expire(idOf(claim));
    await two.rescue.rescueExpired();
    const row = await fixture.row(idOf(claim));
    for (const outcome of everyOutcome) expect(await one.moves.move(claim, outcome)).toBe('lost');
    expect(await fixture.row(idOf(claim))).toEqual(row);
  });

  it('loses alone: the others of his batch are written', async () => {
    const claims = await claimed(20);
    const lost = claims.filter((_, index) => index % 3 === 0);
    await fixture.expire(...lost.map(idOf));
    await two.rescue.rescueExpired();
    const answers = await Promise.all(claims.map((claim) => one.moves.move(claim, completed)));
    expect(answers).toEqual(claims.map((_, index) => (index % 3 === 0 ? 'lost' : 'written')));
  });
});

describe('an ended run', () => {
  it.each([completed, failed])('that is $kind is closed to everything', async (end) => {
    const [claim] = await claimed();
    const runId = idOf(claim);
    await one.moves.move(claim, end);
    const [row, events] = [await fixture.row(runId), await fixture.events(runId)];
    await fixture.sql('UPDATE processor.executions SET next_attempt_at = NULL');
    const newest = { ...claim, fence: row.fence };
    for (const each of [claim, newest]) {
      for (const outcome of everyOutcome) {
        const isTheSame = each === claim && outcome === end; // as after a lost answer to COMMIT
        expect(await one.moves.move(each, outcome)).toBe(isTheSame ? 'written' : 'lost');
      }
      const point = { tenant: 'default', runId, fence: each.fence, step: 0, item: 0, value: 1 };
      expect(await one.checkPoints.save(point)).toBe(false);
      expect(await one.leases.renew([each])).toMatchObject([{ mine: false, renewed: false }]);
    }
    for (const dispatch of [1, 2, 3]) {
      const admission = await two.admit.admit(aWork({ runId, dispatch }));
      expect(admission.kind).toBe('settle');
    }
    expect(await two.claims.claim(5)).toEqual([]);
    expect(await two.rescue.rescueExpired()).toEqual([]);
    expect(await two.rescue.admitOverdue(-1_000_000)).toBe(0);
    expect(await two.announce.announce(5)).toBe(0);
    expect(await fixture.row(runId)).toEqual(row);
    expect(await fixture.events(runId)).toEqual(events);
  });
});

describe('an outcome whose COMMIT got no answer', () => {
  it.each([completed, failed, needsReview, retryLater(9_000), released])(
    'is known as written when the batch is written again: $kind',
    async (outcome) => {
      const [claim] = await claimed();
      const answers = [await one.moves.move(claim, outcome), await one.moves.move(claim, outcome)];
      expect(answers).toEqual(['written', 'written']);
      const told = (await fixture.events(idOf(claim))).map(({ version }) => version);
      expect(told).toEqual(told.map((_, index) => index + 1)); // nothing twice
    },
  );

  it('is not taken for what somebody else made of the run', async () => {
    const [claim] = await claimed();
    await fixture.expire(idOf(claim));
    await two.rescue.rescueExpired();
    expect(await one.moves.move(claim, released)).toBe('lost');
    expect(await one.moves.move(claim, completed)).toBe('lost');
  });
});

describe('a batch with an outcome of which more would have to be told than a message holds', () => {
  it('refuses that one only', async () => {
    const claims = await claimed(40);
    const inline = { answer: 'x'.repeat(1_000_000) };
    const tooLarge = { kind: 'completed', result: { ref: 'cnt_r', inline } } as const;
    const moved = await Promise.allSettled(
      claims.map((claim, index) => one.moves.move(claim, index === 17 ? tooLarge : completed)),
    );
    const refused = moved.flatMap((each, index) => (each.status === 'rejected' ? [index] : []));
    expect(refused).toEqual([17]);
    expect(await fixture.row(idOf(claims[17]!))).toMatchObject({ status: 'running', version: 1 });
    const rows = await fixture.sql<{ runs: bigint }>(
      `SELECT count(*) AS runs FROM processor.executions WHERE status = 'completed'`,
    );
    expect(rows).toEqual([{ runs: 39n }]);
  });
});

describe('the events of a run', () => {
  it('are numbered without a gap, in the order in which they are published, however many write at once', async () => {
    const claims = await claimed(12);
    const writers = [one, two];
    await Promise.all(
      claims.flatMap((claim, index) => [
        ...Array.from({ length: 6 }, (_, i) =>
          writers[i % 2]!.moves.move(claim, i % 3 === 2 ? waitHere : progressed(i)),
        ),
        writers[index % 2]!.moves.move(claim, index % 4 === 0 ? retryLater(9_000) : completed),
      ]),
    );
    for (const claim of claims) {
      const events = await fixture.events(idOf(claim));
      const row = await fixture.row(idOf(claim));
      expect(events.map(({ version }) => version)).toEqual(events.map((_, index) => index + 1));
      expect(row.version).toBe(events.length);
      expect(events.slice(0, -1).every(({ status }) => status === 'running')).toBe(true);
      expect(events.every(({ runId }) => runId === runIdOf(idOf(claim)))).toBe(true);
    }
  });
});
