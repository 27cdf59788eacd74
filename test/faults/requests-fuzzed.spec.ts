/**
 * 10,000 requests that are wrong in some way, to every route of both apps. Real: api and processor as processes of their own,
 * Postgres, Kafka, HTTP as bytes on a socket. Stands in: the simulator for OpenAI.
 */
import fc from 'fast-check';
import type { ProblemBody } from '#libs/contracts';
import { fuzzSeed } from '../fuzz/fuzz-seed.js';
import {
  mutatedRequests,
  type FuzzRequest,
  type Known,
  type Route,
} from '../fuzz/mutated-requests.js';
import { sendRaw, type RawAnswer } from '../fuzz/raw-http.js';
import { openFlow, type Flow } from '../support/flow.js';
import { askAll, untilAtRest } from '../support/unbroken.js';

const answerWithinMs = 5_000;
const atOnce = 24;
const document = '# 1 Scope\n\nThe supplier shall answer.\n';

let flow: Flow;
let runIds: string[];
const died: string[] = [];
beforeAll(async () => {
  flow = await openFlow({ env: { PROCESSOR_RUN_SLOTS: '128' } });
  for (const app of [flow.scene.api, ...flow.scene.processors])
    void app.exited.then(() => died.push(app.output().slice(-2_000)));
  const refused = 'What is refused?';
  const fault = { kind: 'status', status: 400, code: 'invalid_value' } as const;
  await flow.simulator.script({ match: { inputIncludes: refused }, fault, times: 'always' });
  runIds = await askAll(flow, ['What ends?', 'What goes on?', ...Array<string>(20).fill(refused)]);
  await untilAtRest(flow, 30_000);
});
afterAll(async () => flow?.close());

it.each([
  ['api', 9_000, () => flow.scene.apiUrl],
  ['processor', 1_000, () => urlIn(flow.scene.processors[0]?.output() ?? '')],
] as const)(
  `seed ${fuzzSeed}: the %s answers each of %i, explains what it refuses, and lives`,
  async (app, amount, urlOf) => {
    const url = new URL(urlOf());
    const { id } = await flow.runs.upload(document, 'fuzz.md');
    const known: Known = { host: url.host, routes: await routesOf(app), runIds, documentIds: [id] };
    const requests = fc.sample(mutatedRequests(known), { seed: fuzzSeed, numRuns: amount });
    const wrong: string[] = [];
    const queue = requests.values();
    const caller = async () => {
      for (const request of queue) {
        const answer = await sendRaw(url, { ...request, isWhole: request.isHttp }, answerWithinMs);
        const what = faultOf(request, answer, app);
        if (what)
          wrong.push(`${what}: ${toldOf(request)} → ${answer.status} ${answer.body.slice(0, 500)}`);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, caller));
    expect(wrong.slice(0, 20)).toEqual([]);
    expect(died).toEqual([]);
    const [after = ''] = await askAll(flow, [`What comes after the ${app}?`]);
    await flow.runs.completion(after);
  },
  180_000,
);

/** As the api describes them. The processor answers health and metrics only. */
async function routesOf(app: 'api' | 'processor'): Promise<Route[]> {
  const { paths } = (await (await fetch(`${flow.scene.apiUrl}/openapi.json`)).json()) as {
    paths: Readonly<Record<string, object>>;
  };
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })),
  );
  const health = ['/livez', '/readyz', '/startupz', '/metrics', '/', '/v1/runs'];
  const own = health.map((path) => ({ method: 'GET', path }));
  return app === 'api' ? [...described, ...own] : own;
}

function faultOf(request: FuzzRequest, answer: RawAnswer, app: string): string | null {
  const { status, headers, body } = answer;
  if (status === null) return request.isHttp ? 'no answer' : null;
  if (status >= 500) return 'a fault of our own';
  if (status < 400 || request.method === 'HEAD' || app === 'processor') return null;
  if (!headers['content-type']?.startsWith('application/problem+json')) return 'no problem';
  const problem = JSON.parse(body) as Partial<ProblemBody>;
  const isWhole = problem.status === status && /^[a-z_]+$/.test(problem.code ?? '');
  if (!isWhole || !/\S/.test(problem.detail ?? '')) return 'half a problem';
  return problem.errors?.every(({ mend }) => mend !== '') ? null : 'no mend';
}

function toldOf({ bytes }: FuzzRequest): string {
  return JSON.stringify(bytes.toString('latin1', 0, 600));
}

function urlIn(output: string): string {
  return /^ready: .*?(http:\/\/[^\s,;]+)/m.exec(output)?.[1] ?? '';
}
