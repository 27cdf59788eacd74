/**
 * Each fault of OpenAI, and of the way to it, through the whole flow: where its run ends up, why, what was sent and paid for it, and
 * what the person who waits reads. Real: api, processor, Postgres, Kafka, the OpenAI SDK over HTTP. Stands in: the simulator for
 * OpenAI, with a charge counter; it is told what to do wrong, run by run. All runs are asked for at once. What stops every run of
 * a lane is in `test/faults/gateway-outages.spec.ts`.
 */
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { failureRules, type FailureClass, type RunStatus } from '#libs/domain';
import type { Fault, Operation } from '../../dev/simulator/faults.js';
import { openFlow, type Flow } from '../support/flow.js';
import { askAll, expectUnbroken } from '../support/unbroken.js';

interface Case {
  readonly fault: Fault;
  /** Of which request; default: of the one that asks for work. */
  readonly operation?: Operation;
  readonly ends: RunStatus;
  /** Why it stopped. */
  readonly because?: FailureClass;
  /** Requests that asked for work. */
  readonly sent: number;
  readonly paid: number;
}

const refused = (status: number, code: string | null = null): Fault => ({
  kind: 'status',
  status,
  code,
});
const stopped = (because: FailureClass, fault: Fault, paid = 0): Case => {
  return { fault, ends: 'needs_review', because, sent: 1, paid };
};
const failed = (because: FailureClass, fault: Fault): Case => {
  return { fault, ends: 'failed', because, sent: 1, paid: 0 };
};
/** It passes: the run goes on by itself. */
const again = (fault: Fault): Case => ({ fault, ends: 'completed', sent: 2, paid: 1 });
const delivered = (fault: Fault, operation: Operation = 'create'): Case => {
  return { fault, operation, ends: 'completed', sent: 1, paid: 1 };
};

const cases: Readonly<Record<string, Case>> = {
  '404 for anything else': stopped('invalid_request', refused(404)),
  '400 for a wrong value': stopped('invalid_request', refused(400, 'invalid_value')),
  '400 for what is too long': failed('too_large', refused(400, 'context_length_exceeded')),
  '400 for the content': failed('policy', refused(400, 'content_policy_violation')),
  '429 with Retry-After': again({
    ...refused(429, 'rate_limit_exceeded'),
    headers: { 'retry-after': '1' },
  } as Fault),
  '429 without': again(refused(429, 'rate_limit_exceeded')),
  '500': again(refused(500, 'server_error')),
  '503': again(refused(503, 'server_is_overloaded')),
  'a reply that is lost': stopped('outcome_unknown', { kind: 'reset_after_charge' }, 1),
  'a reset after sending': stopped('outcome_unknown', { kind: 'reset_before_read' }),
  'a body that is cut': stopped('outcome_unknown', { kind: 'cut_body' }, 1),
  'no JSON': stopped('outcome_unknown', { kind: 'broken_json' }, 1),
  'a page of a proxy': stopped('outcome_unknown', { kind: 'status', status: 502, body: '<html>' }),
  '408': stopped('outcome_unknown', refused(408)),
  'failed inside a 200': again({ kind: 'failed', code: 'server_error' }),
  'refused content inside a 200': failed('policy', { kind: 'failed', code: 'invalid_prompt' }),
  'cut short inside a 200': stopped(
    'partial_output',
    { kind: 'incomplete', reason: 'max_output_tokens' },
    1,
  ),
  'an empty answer': stopped('bad_output', { kind: 'text', text: ' ' }, 1),
  'a refusal inside a 200': delivered({ kind: 'refusal', text: 'I may not say.' }),
  'an answer with U+0000': delivered({ kind: 'text', text: 'forty\0two' }),
  'a poll that is reset': delivered({ kind: 'reset_before_read' }, 'retrieve'),
  'a poll that is cut': delivered({ kind: 'cut_body' }, 'retrieve'),
  'a poll without JSON': delivered({ kind: 'broken_json' }, 'retrieve'),
  'a poll that meets 500': delivered(refused(500), 'retrieve'),
  'a poll that meets 429': delivered(refused(429, 'rate_limit_exceeded'), 'retrieve'),
};
const names = Object.keys(cases);
const questionOf = (name: string) => `What comes of <${name}>?`;

let flow: Flow;
const ids = new Map<string, string>();
beforeAll(async () => {
  flow = await openFlow({ modelLatencyMs: 200, env: { OPENAI_CONVERSATIONS: 'off' } });
  await flow.simulator.script(
    ...names.map((name) => {
      const { fault, operation = 'create' } = cases[name]!;
      return { match: { operation, inputIncludes: questionOf(name) }, fault };
    }),
  );
  const asked = await askAll(flow, names.map(questionOf));
  names.forEach((name, index) => ids.set(name, asked[index]!));
});
afterAll(async () => flow?.close());

it.each(names)('%s', async (name) => {
  const { ends, because, sent, paid } = cases[name]!;
  const id = ids.get(name)!;
  const settled: readonly RunStatus[] = ['needs_review', 'failed', 'completed', 'cancelled'];
  await flow.runs.streamUntil(id, 'end', ({ status }) => settled.includes(status));
  const { run } = await flow.runs.view(id);
  expect([run.status, run.failure?.class]).toEqual([ends, because]);
  expect((await flow.simulator.callsOf(id)).length).toBe(sent);
  const charges = Object.values(await flow.simulator.chargesOf(id));
  expect(charges.reduce((sum, count) => sum + count, 0)).toBe(paid);
  if (because) expect(run.message).toContain(failureRules[because].people);
});

it('a call that hangs past the caller’s deadline ends its run then', async () => {
  const question = 'What hangs?';
  const fault: Fault = { kind: 'latency', ms: 120_000 };
  await flow.simulator.script({ match: { inputIncludes: question }, fault });
  const body = { workflow: 'answer', input: { question }, deadline: 'PT4S' };
  const { id } = (await flow.runs.submit(body)).body as { id: string };
  await flow.runs.streamUntil(id, 'end', ({ status }) => status === 'failed');
  const { run } = await flow.runs.view(id);
  expect(run.failure?.class).toBe('deadline_exceeded');
  expect(run.message).toContain(failureRules.deadline_exceeded.people);
  expect(await flow.simulator.callsOf(id)).toHaveLength(1);
  expect(await flow.simulator.chargesOf(id)).toEqual({}); // cancelled at OpenAI while it was queued
});

it('the oracle finds nothing wrong with any of it', async () => {
  await expectUnbroken(flow, [...ids.values()]);
});

it('where nobody listens the run waits, and says so', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await Promise.all(flow.scene.processors.map((processor) => processor.stop()));
  await flow.scene.startProcessor({ OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1` });
  const { id } = await flow.runs.ask('Does anybody listen?');
  const waits = ({ type }: { type: string }) => type === 'dev.holdfast.run.waiting.v1';
  await flow.runs.streamUntil(id, 'wait', waits);
  const { run } = await flow.runs.view(id);
  expect(run).toMatchObject({ status: 'queued', attempt: 1 });
  expect(run.message).toContain('the AI service cannot be reached, or is down');
  expect(await flow.simulator.callsOf(id)).toEqual([]);
  expect(await flow.simulator.chargesOf(id)).toEqual({});
});
