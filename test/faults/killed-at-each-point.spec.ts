/**
 * kill -9 at each numbered point of the flow (the catalogue in libs/pause-points; the process stops itself there, then it is
 * killed). Real: api and processors as processes of their own, SIGKILL, Postgres, Kafka, an outside consumer. Stands in: the
 * simulator for OpenAI, with a charge counter.
 *
 * All victims die before anything is mended, each with a run of its own; then those that live go on with all of it. The points
 * of an effect need a workflow that has one: `effects-once.spec.ts`.
 */
import { randomUUID } from 'node:crypto';
import { numberOf, pausePointNames, type PausePoint } from '#libs/pause-points';
import type { RunView } from '#libs/contracts';
import { runIdOf, uuidOf, type RunId } from '#libs/domain';
import { collectFacts } from '../oracle/collect-facts.js';
import { judge } from '../oracle/judge.js';
import type { AppProcess } from '../support/app-process.js';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { storyOf } from '../support/run-story.js';
import { RunsClient } from '../support/runs-client.js';

/** What became of the run whose process died at the point, and how often its one model call was charged. */
interface Fate {
  readonly ends: 'RunCompleted' | 'RunNeedsReview';
  readonly charges: 0 | 1;
}

const goesOn: Fate = { ends: 'RunCompleted', charges: 1 };
/** Nobody can know what became of the request: a person decides, and nothing is sent again. */
const unknown = (charges: 0 | 1): Fate => ({ ends: 'RunNeedsReview', charges });

type Point = Exclude<PausePoint, `effect.${string}`>;

const fates: Readonly<Record<Point, Fate>> = {
  'accept.before-commit': goesOn,
  'accept.after-commit': goesOn,
  'relay.before-send': goesOn,
  'relay.after-ack': goesOn,
  'admit.before-commit': goesOn,
  'admit.after-commit': goesOn,
  'offsets.before-commit': goesOn,
  'claim.before-commit': goesOn,
  'claim.after-commit': goesOn,
  'call.opening': goesOn,
  'call.sending': unknown(0),
  'call.replied': unknown(1),
  'call.accepted': goesOn,
  'call.done': goesOn,
  'check-point.saved': goesOn,
  'outcome.before-commit': goesOn,
  'outcome.after-commit': goesOn,
  'drain.releasing': goesOn,
  'projection.before-commit': goesOn,
  'projection.after-commit': goesOn,
};

const points = pausePointNames.filter((name): name is Point => !name.startsWith('effect.'));
const inApi = points.filter((point) => /^(accept|relay|projection)\./.test(point));
const beforeTheClaim = points.filter((point) => /^(admit|offsets)\.|^claim\.before/.test(point));
const underTheLease = points.filter((point) => ![...inApi, ...beforeTheClaim].includes(point));

let flow: Flow;
/** One key per point: whoever gets no answer asks again with it. */
const keys = new Map(points.map((point) => [point, randomUUID()]));
/** The run that the victim of the point had in its hands. */
const runs = new Map<Point, string>();
const answers: { key: string; runId: string }[] = [];

beforeAll(async () => {
  flow = await openFlow({
    processors: 0,
    env: { PROCESSOR_RUN_SLOTS: '1', OPENAI_CONVERSATIONS: 'off' },
  });
  await killApis();
  await killProcessorsBeforeTheirClaim();
  await killProcessorsUnderTheirLeases();
  for (const point of points) await ask(point, flow.runs);
  await Promise.all([1, 2].map(() => flow.scene.startProcessor({ PROCESSOR_RUN_SLOTS: '32' })));
}, 240_000);
afterAll(async () => flow?.close());

it.each(points.map((point) => [numberOf(point), point, fates[point]] as const))(
  '%i %s: one run, one end, nothing paid twice',
  async (_number, point, fate) => {
    const id = runs.get(point)!;
    await flow.runs.streamUntil(id, fate.ends, ({ status }) => status === statusOf(fate));
    await flow.published();
    const story = await storyOf(flow.watch, id);
    expect(story.at(-1)?.name).toBe(fate.ends);
    const charges = Object.values(await flow.simulator.chargesOf(id));
    expect(charges).toEqual(fate.charges === 0 ? [] : [1]);
    const { rows } = await flow.database.query(`SELECT FROM api.runs WHERE idempotency_key = $1`, [
      keys.get(point),
    ]);
    expect(rows).toHaveLength(1);
    const { run } = await flow.runs.view(id);
    if (fate.ends === 'RunNeedsReview') expect(run.failure?.class).toBe('outcome_unknown');
  },
);

it('the oracle finds nothing wrong with any of it', async () => {
  await flow.published();
  await flow.watch.settledByAll();
  const facts = await collectFacts({
    ...{ database: flow.database, records: flow.watch.seen, simulator: flow.simulator },
    ...{ answers, deliveries: [], recoveriesMs: [] },
  });
  expect(judge(facts)).toEqual([]);
  expect(facts.views).toHaveLength(points.length);
});

/** While the first api stands still, each victim is the one that leads the relay and projects. */
async function killApis(): Promise<void> {
  flow.scene.api.freeze();
  const processor = await flow.scene.startProcessor();
  for (const point of inApi) {
    const { app, url } = await flow.scene.startApi({ HOLDFAST_PAUSE_AT: point });
    // Some get no answer. Of events there are enough: the runs of the points before.
    const asked = point.startsWith('projection.')
      ? undefined
      : ask(point, new RunsClient(url!)).catch(() => undefined);
    await app.paused(60_000);
    await app.killHard();
    await asked;
  }
  await processor.stop();
  flow.scene.api.thaw();
}

/** Lanes are closed, so that nothing but what is meant goes on; then a sound processor finishes all of it. */
async function killProcessorsBeforeTheirClaim(): Promise<void> {
  for (const point of beforeTheClaim) {
    await flow.database.query(`UPDATE processor.lanes SET paused = $1`, [
      !point.startsWith('claim.'),
    ]);
    await ask(point, flow.runs);
    const victim = await flow.scene.startProcessor({ HOLDFAST_PAUSE_AT: point });
    await victim.paused(60_000);
    await victim.killHard();
  }
  const sound = await flow.scene.startProcessor({ PROCESSOR_RUN_SLOTS: '32' });
  for (const point of beforeTheClaim) await flow.runs.completion(runs.get(point)!);
  await sound.stop();
}

/** With one slot each, every victim has a run of its own. */
async function killProcessorsUnderTheirLeases(): Promise<void> {
  await flow.simulator.script({ fault: { kind: 'latency', ms: 3_000 }, times: 'always' });
  for (const point of underTheLease) await ask(point, flow.runs);
  const victims = await Promise.all(underTheLease.map(startVictim));
  await Promise.all(victims.map(({ app }) => app.paused(60_000)));
  for (const { point, app } of victims) runs.set(point, await runInHand(app));
  await Promise.all(victims.map(({ app }) => app.killHard()));
  await flow.simulator.clearScript();
}

async function startVictim(point: Point): Promise<{ point: Point; app: AppProcess }> {
  const env = { HOLDFAST_PAUSE_AT: point, PROCESSOR_DRAIN_MS: '0' };
  const app = await flow.scene.startProcessor(env);
  if (point === 'drain.releasing') void runInHand(app).then(() => app.stop());
  return { point, app };
}

/** The first run that the process claimed. */
async function runInHand({ pid }: AppProcess): Promise<string> {
  return eventually(`process ${pid} has a run`, async () => {
    const { rows } = await flow.database.query<{ run_id: string }>(
      `SELECT run_id FROM processor.attempts WHERE worker LIKE $1`,
      [`%.${pid}.%`],
    );
    return rows[0] && runIdOf(rows[0].run_id);
  });
}

/** A point whose victim had no run in hand is answered for by the run that was asked for in its name. */
async function ask(point: Point, client: RunsClient): Promise<void> {
  const body = { workflow: 'answer', input: { question: `What happens at ${point}?` } };
  const answer = await client.submit(body, keys.get(point));
  expect(answer.status).toBe(202);
  const { id } = answer.body as RunView;
  answers.push({ key: keys.get(point)!, runId: uuidOf(id as RunId) });
  if (!runs.has(point)) runs.set(point, id);
}

function statusOf({ ends }: Fate): string {
  return ends === 'RunCompleted' ? 'completed' : 'needs_review';
}
