/**
 * kill -9 around the call that mends an answer: between the answer that breaks its contract, or was cut at its cap, and the second
 * call; while that one is at work; and when it was paid and not yet read. The next owner puts it in the same way, once.
 * Real: api and processors as processes of their own, SIGKILL, Postgres, Kafka. Stands in: the simulator for OpenAI, with its bill.
 */
import type { Fault } from '../../dev/simulator/faults.js';
import { runIdOf } from '#libs/domain';
import type { PausePoint } from '#libs/pause-points';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';

/** A point, and the how manieth time that a process comes to it. */
type Moment = PausePoint | `${PausePoint}:${number}`;

const brokenAnswer: Fault = { kind: 'text', text: 'The supplier has to deliver.' };
const cutAnswer: Fault = { kind: 'incomplete', reason: 'max_output_tokens' };
const cases: readonly [string, Fault, readonly Moment[]][] = [
  [
    'an answer that breaks its contract',
    brokenAnswer,
    ['call.done', 'call.opening:2', 'call.accepted:2', 'call.done:2'],
  ],
  ['an answer that was cut', cutAnswer, ['call.opening:2', 'call.accepted:2', 'call.done']],
];

describe.each(cases)('%s', (_what, fault, moments) => {
  let flow: Flow;
  /** Of the victim that died then. */
  const runs = new Map<Moment, string>();

  beforeAll(async () => {
    flow = await openFlow({ processors: 0, modelLatencyMs: 1_000 });
    await flow.simulator.script(
      ...moments.map((_, number) => ({ match: { inputIncludes: wordsOf(number) }, fault })),
    );
    for (const number of moments.keys()) await flow.runs.readTender(tenderOf(number));
    const victims = await Promise.all(
      moments.map(async (moment) => {
        const env = { HOLDFAST_PAUSE_AT: moment, PROCESSOR_RUN_SLOTS: '1' };
        return { moment, app: await flow.scene.startProcessor(env) };
      }),
    );
    await Promise.all(victims.map(({ app }) => app.paused(60_000)));
    for (const { moment, app } of victims) runs.set(moment, await runInHand(flow, app.pid));
    await Promise.all(victims.map(({ app }) => app.killHard()));
    await flow.scene.startProcessor();
  }, 180_000);
  afterAll(async () => flow?.close());

  it.each(moments)('killed at %s: mended once, and nothing is paid twice', async (moment) => {
    const id = runs.get(moment)!;
    await flow.runs.completion(id, 60_000);
    expect(Object.values(await flow.simulator.chargesOf(id))).toEqual([1, 1]);
    expect(await flow.simulator.callsOf(id)).toHaveLength(2);
    expect((await flow.runs.view(id)).run).toMatchObject({ attempt: 1 });
  });
});

const wordsOf = (number: number) => `The supplier shall deliver part ${number}.`;
/** One section, so one call. */
const tenderOf = (number: number) => `# 1 Delivery\n\n${wordsOf(number)}\n`;

async function runInHand({ database }: Flow, pid: number): Promise<string> {
  return eventually(`process ${pid} has a run`, async () => {
    const { rows } = await database.query<{ run_id: string }>(
      `SELECT run_id FROM processor.attempts WHERE worker LIKE $1`,
      [`%.${pid}.%`],
    );
    return rows[0] && runIdOf(rows[0].run_id);
  });
}
