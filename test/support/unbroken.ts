/** Many runs of a spec, asked for and judged together. */
import { randomUUID } from 'node:crypto';
import type { RunView } from '#libs/contracts';
import { uuidOf, type RunId } from '#libs/domain';
import { collectFacts } from '../oracle/collect-facts.js';
import type { Facts } from '../oracle/facts.js';
import { judge } from '../oracle/judge.js';
import { eventually } from './eventually.js';
import type { Flow } from './flow.js';

/** An outside consumer whose broker died takes its time to come back. */
const readWithinMs = 60_000;
/** So many callers at once. */
const callers = 50;

/** Questions asked by many callers, each until it has its answer; ids in the order of the questions. */
export async function askAll(
  flow: Flow,
  questions: readonly string[],
  withinMs?: number,
): Promise<string[]> {
  const ids: string[] = [];
  const queue = questions.entries();
  const caller = async () => {
    for (const [index, question] of queue)
      ids[index] = await askUntilAccepted(flow, question, withinMs);
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return ids;
}

/** Asks again with the same key where it is told to come back: a server is away. */
async function askUntilAccepted(flow: Flow, question: string, withinMs?: number): Promise<string> {
  const key = randomUUID();
  const ask = async () => {
    const answer = await flow.runs.submit({ workflow: 'answer', input: { question } }, key);
    if (answer.status === 202) return (answer.body as RunView).id;
    if (answer.status === 503) return null;
    throw new Error(`POST /v1/runs: ${answer.status} ${JSON.stringify(answer.body)}`);
  };
  return eventually(`"${question}" is accepted`, ask, withinMs);
}

/** Resolves when so many runs are accepted: the load is on. */
export async function untilAccepted(flow: Flow, count: number): Promise<void> {
  await eventually(`${count} runs are accepted`, async () => {
    const { rows } = await flow.database.query<{ runs: number }>(
      'SELECT count(*)::int AS runs FROM api.runs',
    );
    return rows[0]!.runs >= count;
  });
}

/** No process has ended and begun anew. */
export function expectAllUp({ scene }: Flow): void {
  const down = [scene.api, ...scene.processors].filter((app) => !app.isUp());
  expect(down.map((app) => app.output())).toEqual([]);
}

/** Resolves when no run moves any more. */
export async function untilAtRest(flow: Flow, withinMs: number): Promise<void> {
  await eventually(
    'every run has ended or waits for a person',
    async () => {
      const { rows } = await flow.database.query<{ moving: boolean }>(
        `SELECT EXISTS (SELECT FROM api.runs WHERE status IN ('queued', 'running', 'retrying')) AS moving`,
      );
      return rows[0]?.moving === false;
    },
    withinMs,
  );
}

/** Holds everything that happened in the scene against the promises. @throws the breaches, in words */
export async function expectUnbroken(flow: Flow, ids: readonly string[]): Promise<Facts> {
  await flow.published(readWithinMs);
  const facts = await collectFacts({
    ...{ database: flow.database, records: flow.watch.seen, simulator: flow.simulator },
    answers: ids.map((id) => ({ key: id, runId: uuidOf(id as RunId) })),
    ...{ deliveries: [], recoveriesMs: [] },
  });
  const breaches = judge({ ...facts, views: facts.views.map((view) => ({ ...view, key: null })) });
  if (breaches.length > 0) throw new Error(JSON.stringify(breaches.slice(0, 10), null, 2));
  return facts;
}
