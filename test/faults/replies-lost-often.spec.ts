/**
 * A thousand calls, background and foreground mixed, and the reply to each tenth lost after it was charged. With conversations all
 * complete and are paid once; without them, and without webhooks, each lost one is held for a person, and none is paid twice.
 * A sender that is killed at the worst moments leaves no doubt where its calls were sent on conversations.
 * Real: api and processors as processes of their own, SIGKILL, Postgres, Kafka. Stands in: the simulator for OpenAI, with its charge
 * counter; time, which is moved in the ledger's row.
 */
import { numberOf, type PausePoint } from '#libs/pause-points';
import { runIdOf, uuidOf, type RunId } from '#libs/domain';
import type { RunView } from '#libs/contracts';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';

const calls = 1_000;
const callers = 50;
const lostEvery = 10;

let flow: Flow;
afterEach(async () => flow.close());

interface Asked {
  readonly id: string;
  readonly isLost: boolean;
}

async function askAll(): Promise<readonly Asked[]> {
  const asked: Asked[] = [];
  const queue = Array.from({ length: calls }, (_, index) => index).values();
  const caller = async () => {
    for (const index of queue) {
      const isLost = index % lostEvery === 0;
      const workflow = Math.floor(index / lostEvery) % 2 === 0 ? 'answer' : 'quick-answer';
      const question = `Question ${index}${isLost ? ', whose answer gets lost' : ''}?`;
      const { body } = await flow.runs.submit({ workflow, input: { question } });
      asked.push({ id: (body as RunView).id, isLost });
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return asked;
}

const loseReplies = () =>
  flow.simulator.script({
    match: { inputIncludes: 'whose answer gets lost' },
    ...{ fault: { kind: 'reset_after_charge' }, times: 'always' },
  });

const countOf = async (statuses: string) =>
  Number(
    (
      await flow.database.query<{ count: string }>(
        `SELECT count(*) FROM api.runs WHERE status = ANY(string_to_array($1, ','))`,
        [statuses],
      )
    ).rows[0]?.count,
  );

const allSettled = () =>
  eventually(
    'all have ended, or wait for a person',
    async () => (await countOf('completed,failed,cancelled,needs_review')) === calls,
    240_000,
  );

async function paidMoreThanOnce(): Promise<readonly string[]> {
  const counts = new Map<string, number>();
  for (const { callId } of await flow.simulator.charges())
    counts.set(callId ?? '', (counts.get(callId ?? '') ?? 0) + 1);
  return [...counts].filter(([, count]) => count > 1).map(([callId]) => callId);
}

it('with conversations all complete: paid twice 0, held 0', async () => {
  flow = await openFlow({ processors: 2, env: { OPENAI_CONVERSATIONS: 'all' } });
  await loseReplies();
  await askAll();
  await allSettled();
  expect(await countOf('completed')).toBe(calls);
  expect(await paidMoreThanOnce()).toEqual([]);
  expect(await flow.simulator.charges()).toHaveLength(calls);
  const { rows } = await flow.database.query<{ usage_estimated: boolean; calls: string }>(
    `SELECT usage_estimated, count(*) AS calls FROM processor.calls WHERE state = 'done' GROUP BY 1 ORDER BY 1`,
  );
  expect(rows).toEqual([
    { usage_estimated: false, calls: expect.anything() as unknown },
    { usage_estimated: true, calls: expect.anything() as unknown },
  ]);
  expect(rows.map(({ calls: count }) => Number(count))).toEqual([900, 100]);
}, 420_000);

it('without them each lost one is held with what is known: paid twice 0', async () => {
  flow = await openFlow({ processors: 2, env: { OPENAI_CONVERSATIONS: 'off' } });
  await loseReplies();
  const asked = await askAll();
  await allSettled();
  expect(await paidMoreThanOnce()).toEqual([]);
  expect(await flow.simulator.charges()).toHaveLength(calls);
  expect(await countOf('completed')).toBe(calls - calls / lostEvery);
  const lost = asked.filter(({ isLost }) => isLost);
  expect(lost).toHaveLength(calls / lostEvery);
  for (const { id } of lost) {
    const { run } = await flow.runs.view(id);
    expect(run).toMatchObject({
      status: 'needs_review',
      failure: { class: 'outcome_unknown', code: 'reply_lost', step: 'ask' },
    });
  }
}, 420_000);

it.each([
  ['call.sending', 0],
  ['call.replied', 1],
] as const satisfies [PausePoint, number][])(
  'killed at %s with conversations: the run completes, paid once',
  async (point, chargedBefore) => {
    flow = await openFlow({ processors: 0, env: { OPENAI_CONVERSATIONS: 'background' } });
    const victim = await flow.scene.startProcessor({ HOLDFAST_PAUSE_AT: point });
    const { id } = await flow.runs.ask(`What happens at ${numberOf(point)}?`);
    await victim.paused(60_000);
    expect(await flow.simulator.charges()).toHaveLength(chargedBefore);
    await victim.killHard();
    await flow.scene.startProcessor();
    if (chargedBefore === 0) await timeIsOver(id);
    await flow.runs.completion(runIdOf(uuidOf(id as RunId)), 90_000);
    expect(Object.values(await flow.simulator.chargesOf(id))).toEqual([1]);
  },
  180_000,
);

/** The call's own limit, once the next owner has found that its outcome is unknown. */
async function timeIsOver(id: string): Promise<void> {
  await eventually(
    'the call is looked for',
    async () => {
      const { rowCount } = await flow.database.query(
        `UPDATE processor.calls SET sending_at = sending_at - interval '301 s'
         WHERE run_id = $1 AND state = 'unknown' AND anchor IS NOT NULL`,
        [uuidOf(id as RunId)],
      );
      return rowCount > 0;
    },
    60_000,
  );
}
