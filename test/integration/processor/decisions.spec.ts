/**
 * Every decision in every state, before, during and after the death of whoever holds the run. Real: Postgres, the processor's stores;
 * a death is a lease that runs out, and a message that is admitted by two processors. Stands in: the owner, who makes no calls here
 * (test/flow/decisions.spec.ts has the real one).
 */
import { decisionNames, type DecisionName } from '#libs/domain';
import type { ExecutionStatus } from '../../../apps/processor/src/schema/index.js';
import {
  aDecision,
  aFailure,
  aWork,
  completed,
  openProcessorFixture,
  retryLater,
  type ProcessorFixture,
  type SpecProcessor,
  type ToldEvent,
} from './processor-fixture.js';

let fixture: ProcessorFixture;
let one: SpecProcessor;
let two: SpecProcessor;

beforeAll(async () => {
  fixture = await openProcessorFixture();
  one = fixture.processor('one');
  two = fixture.processor('two');
});
afterAll(() => fixture.stop());
beforeEach(() => fixture.empty());

type State = ExecutionStatus | 'unknown';
const states: readonly State[] = [
  ...(['unknown', 'ready', 'running', 'retrying', 'needs_review'] as const),
  ...(['completed', 'failed', 'cancelled'] as const),
];
const needsReview = { kind: 'needs_review', failure: aFailure() } as const;
const failed = { kind: 'failed', failure: aFailure({ class: 'policy' }) } as const;

/** How it ends, once all have done what they can: what became of the decision, and of the run. */
function expectedEnd(decision: DecisionName, state: State): readonly [string, ExecutionStatus] {
  const ends: Readonly<Record<DecisionName, ExecutionStatus>> = {
    ...{ cancel: 'cancelled', redrive: 'completed', discard: 'failed', complete: 'completed' },
  };
  if (state === 'cancelled') return [decision === 'cancel' ? 'applied' : ENDED, state];
  if (state === 'completed' || state === 'failed') return [ENDED, state];
  if (decision === 'cancel' || state === 'needs_review') return ['applied', ends[decision]];
  return [state === 'unknown' ? 'run_unknown' : 'run_not_in_review', 'completed'];
}
const ENDED = 'run_already_ended';

const crashes = ['none', 'before', 'during', 'after'] as const;
const cases = decisionNames.flatMap((decision) =>
  states.flatMap((state) => crashes.map((crash) => [decision, state, crash] as const)),
);

it.each(cases)('%s of a run that is %s, crash: %s', async (name, state, crash) => {
  const runId = await runIn(state);
  const decision = aDecision(runId, name);
  if (crash === 'before') await die(runId);
  if (crash === 'during') await Promise.all([one, two].map((each) => each.admit.admit(decision)));
  else await one.admit.admit(decision);
  if (crash === 'after') await die(runId);
  if (state === 'unknown') await one.admit.admit(aWork({ runId }));
  await workOff(runId);

  const [answer, end] = expectedEnd(name, state);
  const events = await fixture.events(runId);
  const row = await fixture.row(runId);
  expect([row.status, answersTo(decision.decisionId, events)]).toEqual([end, [answer]]);
  expect(oneStory(events)).toBe(true);
  expect(row.cancel_requested).toBe(false);

  // Delivered again, in any order, it repeats its answer and changes nothing.
  await two.admit.admit(decision);
  await one.admit.admit(aWork({ runId }));
  expect({ ...(await fixture.row(runId)) }).toEqual({ ...row });
  const repeated = (await fixture.events(runId)).slice(events.length);
  expect(repeated.map(({ id }) => id)).toEqual([idOfAnswer(decision.decisionId, events)]);
});

describe('a cancel', () => {
  it('wins against an outcome that was not committed when it came', async () => {
    for (const outcome of [completed, failed, needsReview, retryLater(60_000)]) {
      const runId = await runIn('running');
      const [claim] = claims.get(runId)!;
      const [moved] = await Promise.all([
        one.moves.move(claim, outcome),
        two.admit.admit(aDecision(runId, 'cancel')),
      ]);
      if (moved === 'cancel_requested') await one.moves.move(claim, { kind: 'cancelled' });
      const ends = (await fixture.events(runId)).filter(isTerminal).map(({ name }) => name);
      const [told = 'RunCancelled'] = moved === 'written' ? [terminalOf[outcome.kind]] : [];
      expect(ends).toEqual([told]);
    }
  });

  it('is brought to the owner by the next renewal of his lease, and to no other', async () => {
    const [told, other] = [await runIn('running'), await runIn('running')];
    await two.admit.admit(aDecision(told, 'cancel'));
    const answers = await one.leases.renew([told, other].map((runId) => claims.get(runId)![0]));
    expect(answers.map((each) => [each.mine, each.cancelRequested])).toEqual([
      ...[
        [true, true],
        [true, false],
      ],
    ]);
  });

  it('of a run whose call may be running is not carried out by admission, whatever its state', async () => {
    for (const state of ['ready', 'retrying', 'needs_review'] as const) {
      const runId = await runIn(state);
      const before = await fixture.row(runId);
      await fixture.insertCall(runId, before.fence);
      expect(await two.admit.admit(aDecision(runId, 'cancel'))).toMatchObject({ kind: 'sent_on' });
      const row = await fixture.row(runId);
      expect([state, row.status, row.cancel_requested]).toEqual([state, 'ready', true]);
      expect(row.dispatch - before.dispatch).toBe(state === 'ready' ? 0 : 1);
      expect(row.next_attempt_at).toBeNull();
      const [claim] = await two.claims.claim(1);
      expect(claim?.run).toMatchObject({ run_id: runId, cancel_requested: true });
      await two.moves.move(claim!, { kind: 'cancelled' });
      expect((await fixture.events(runId)).at(-1)?.name).toBe('RunCancelled');
    }
  });

  it('is answered with every other cancel that waits, and only then', async () => {
    const runId = await runIn('running');
    const [first, second] = [aDecision(runId, 'cancel'), aDecision(runId, 'cancel')];
    await one.admit.admit(first);
    await one.admit.admit(second);
    expect((await fixture.events(runId)).some(({ answers }) => answers !== null)).toBe(false);
    await workOff(runId);
    const events = await fixture.events(runId);
    expect(events.slice(-3).map(({ name, answers }) => answers ?? name)).toEqual([
      ...[first.decisionId, second.decisionId, 'RunCancelled'],
    ]);
  });

  it('is honoured by the rescuer before lost leases are counted', async () => {
    const runId = await runIn('running');
    await fixture.sql('UPDATE processor.executions SET lost_leases = 2 WHERE run_id = $1', [runId]);
    const fenceOfCall = await fixture.insertCall(runId, 1n);
    await one.admit.admit(aDecision(runId, 'cancel'));
    await die(runId);
    const row = await fixture.row(runId);
    expect([row.status, row.next_attempt_at]).toEqual(['ready', null]);
    expect(await fenceOfCall()).toBe(row.fence);
  });

  it('leaves no call that could still be sent: none that is planned, none that comes later', async () => {
    const runId = await runIn('running');
    await fixture.insertCall(runId, 1n);
    await one.admit.admit(aDecision(runId, 'cancel'));
    const rows = await fixture.sql(
      `SELECT c.cancel_requested, s.run_id FROM processor.calls c JOIN processor.call_stops s USING (run_id)`,
    );
    expect(rows).toEqual([{ cancel_requested: true, run_id: runId }]);
  });
});

describe('a redrive', () => {
  it('gives the run all its attempts again, and outdates whatever was sent of it before', async () => {
    const runId = await runIn('needs_review');
    await fixture.sql(`UPDATE processor.executions SET attempt = 5, tries = 7 WHERE run_id = $1`, [
      runId,
    ]);
    const before = await fixture.row(runId);
    expect(await one.admit.admit(aDecision(runId, 'redrive'))).toMatchObject({ kind: 'sent_on' });
    expect(await fixture.row(runId)).toMatchObject({
      ...{ status: 'ready', attempt: 1, tries: 0, first_failed_at: null },
      ...{ dispatch: before.dispatch + 1, redriven_fence: before.fence },
    });
    expect(await two.admit.admit(aWork({ runId, dispatch: before.dispatch }))).toMatchObject({
      ...{ kind: 'settle', because: 'stale' },
    });
  });

  it('happens once, however often it is asked for at once', async () => {
    const runId = await runIn('needs_review');
    const asked = Array.from({ length: 6 }, () => aDecision(runId, 'redrive'));
    await Promise.all(asked.map((each, index) => [one, two][index % 2]!.admit.admit(each)));
    const events = await fixture.events(runId);
    const answers = asked.flatMap(({ decisionId }) => answersTo(decisionId, events)).sort();
    expect(answers).toEqual(['applied', ...Array<string>(5).fill('run_not_in_review')]);
    expect(events.filter(({ name }) => name === 'RunQueued')).toHaveLength(1);
  });

  it('books calls whose outcome nobody knows as possible duplicates of those that take their place', async () => {
    const runId = await runIn('needs_review');
    await fixture.insertCall(runId, 1n);
    await fixture.sql(`UPDATE processor.calls SET state = 'unknown', failure = '{}'`);
    await one.admit.admit(aDecision(runId, 'redrive'));
    expect(await fixture.sql('SELECT state, possible_duplicate FROM processor.calls')).toEqual([
      ...[{ state: 'failed', possible_duplicate: true }],
    ]);
  });
});

describe('a run that ends without its calls', () => {
  const noted = () => fixture.sql('SELECT run_id FROM processor.call_leftovers');

  it.each(['discard', 'complete'] as const)(
    'by %s is noted, so that they are closed',
    async (by) => {
      const runId = await runIn('needs_review');
      await fixture.insertCall(runId, 1n);
      await one.admit.admit(aDecision(runId, by));
      expect(await noted()).toEqual([{ run_id: runId }]);
    },
  );

  it('by failing, or by a cancel that was not confirmed, is noted', async () => {
    for (const outcome of [failed, { kind: 'cancelled' } as const]) {
      await fixture.empty();
      const runId = await runIn('running');
      const [claim] = claims.get(runId)!;
      await fixture.insertCall(runId, claim.fence);
      if (outcome.kind === 'cancelled') await two.admit.admit(aDecision(runId, 'cancel'));
      expect(await one.moves.move(claim, outcome)).toBe('written');
      expect(await noted()).toEqual([{ run_id: runId }]);
    }
  });

  it('is not noted where it leaves none', async () => {
    await runIn('failed');
    await runIn('completed');
    expect(await noted()).toEqual([]);
  });
});

describe('a decision that cannot be carried out', () => {
  it('is refused with the reason', async () => {
    const lacking = await runIn('needs_review', { workflow: 'not-built' });
    const breaking = await runIn('needs_review');
    const unread = await runIn('needs_review');
    const asked = [
      [aDecision(lacking, 'redrive'), 'workflow_unknown'],
      [aDecision(lacking, 'complete'), 'workflow_unknown'],
      [aDecision(breaking, 'complete', { result: { kind: 'breaks' } }), 'result_invalid'],
      [aDecision(unread, 'complete', { result: { kind: 'unread' } }), 'run_unknown'],
    ] as const;
    for (const [decision, refusal] of asked) {
      await one.admit.admit(decision);
      const events = await fixture.events(decision.runId);
      expect(answersTo(decision.decisionId, events)).toEqual([refusal]);
      expect((await fixture.row(decision.runId)).status).toBe('needs_review');
    }
  });

  it('of another tenant is not even stored', async () => {
    const runId = await runIn('needs_review');
    const foreign = aDecision(runId, 'cancel', { tenant: 'stranger' });
    expect(await one.admit.admit(foreign)).toEqual({ kind: 'foreign' });
    expect(await fixture.sql('SELECT FROM processor.decisions')).toEqual([]);
  });
});

type Claims = Awaited<ReturnType<SpecProcessor['claims']['claim']>>;
/** Of the runs that `one` holds. */
const claims = new Map<string, [Claims[number]]>();

const terminalOf: Readonly<Record<string, string | undefined>> = {
  ...{ completed: 'RunCompleted', failed: 'RunFailed' },
};
const isTerminal = ({ name }: ToldEvent) =>
  name === 'RunCompleted' || name === 'RunFailed' || name === 'RunCancelled';

async function runIn(state: State, request: { workflow?: string } = {}): Promise<string> {
  const work = aWork();
  const { runId } = work;
  if (state === 'unknown') return runId;
  await one.admit.admit({ ...work, request: { ...work.request, ...request } });
  if (state === 'ready') return runId;
  if (state === 'cancelled') {
    await one.admit.admit(aDecision(runId, 'cancel'));
    return runId;
  }
  const claim = (await one.claims.claim(64)).find(({ run }) => run.run_id === runId)!;
  claims.set(runId, [claim]);
  if (state === 'running') return runId;
  const outcomes = { retrying: retryLater(60_000), needs_review: needsReview, completed, failed };
  await one.moves.move(claim, outcomes[state]);
  return runId;
}

/** Its owner dies, and the rescuer of another processor finds it. Nothing happens to a run that nobody holds. */
async function die(runId: string): Promise<void> {
  await fixture.expire(runId);
  await two.rescue.rescueExpired();
}

/** All that processors do for a run by themselves, until it stands still. `one` lives on, unless its lease was lost. */
async function workOff(runId: string): Promise<void> {
  const held = claims.get(runId)?.[0];
  if (held && (await one.moves.move(held, completed)) === 'cancel_requested') {
    await one.moves.move(held, { kind: 'cancelled' });
  }
  await fixture.sql(
    `UPDATE processor.executions SET next_attempt_at = now() WHERE status = 'retrying'`,
  );
  await two.rescue.admitOverdue(-1_000);
  for (const claim of await two.claims.claim(64)) {
    const { cancel_requested } = claim.run;
    await two.moves.move(claim, cancel_requested ? { kind: 'cancelled' } : completed);
  }
}

function answersTo(decisionId: string, events: readonly ToldEvent[]): string[] {
  const answers = events.filter(({ answers: to }) => to === decisionId);
  const byId = new Map(answers.map((answer) => [answer.id, answer]));
  return [...byId.values()].map(({ refusal }) => refusal ?? 'applied');
}

function idOfAnswer(decisionId: string, events: readonly ToldEvent[]): string | undefined {
  return events.find(({ answers }) => answers === decisionId)?.id;
}

/** Repeats left out, the versions have no gap, and at most one event ends the run. */
function oneStory(events: readonly ToldEvent[]): boolean {
  const once = [...new Map(events.map((event) => [event.id, event])).values()];
  const inOrder = once.every(({ version }, index) => version === index + 1);
  return inOrder && once.filter(isTerminal).length === 1;
}
