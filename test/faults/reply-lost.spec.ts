/**
 * What became of a call whose reply was lost is told by OpenAI's webhook: in time, late, twice, by somebody else, never, and while
 * processors die. Real: api and processors as processes of their own, SIGKILL, Postgres, Kafka, an outside consumer. Stands in: the
 * simulator for OpenAI, which signs and sends as OpenAI does, with a charge counter; time, which is moved in the ledger's row.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { uuidOf, type RunId } from '#libs/domain';
import { signWebhook, type WebhookOrder } from '../../dev/simulator/webhooks.js';
import type { AppProcess } from '../support/app-process.js';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { freePort } from '../support/free-port.js';
import { storyOf } from '../support/run-story.js';

const secret = `whsec_${randomBytes(24).toString('base64')}`;
const lookingUp =
  'Running: looking for an answer of the AI service that was lost on the way. You need not do anything.';

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow({ env: { OPENAI_WEBHOOK_SECRET: secret, OPENAI_CONVERSATIONS: 'off' } });
});
afterAll(async () => flow?.close());

/** A run whose call was accepted and charged, and whose reply was lost; it waits. */
async function lostReply(order: Omit<WebhookOrder, 'secret'> | null): Promise<string> {
  const question = `What was lost, ${randomUUID()}?`;
  await flow.simulator.orderWebhooks(order && { ...order, secret });
  await flow.simulator.script({
    ...{ match: { inputIncludes: question }, fault: { kind: 'reset_after_charge' } },
  });
  const { id } = await flow.runs.ask(question);
  await flow.runs.streamUntil(id, 'wait', ({ message }) => message === lookingUp);
  return id;
}

async function paidOnce(id: string): Promise<void> {
  expect(Object.values(await flow.simulator.chargesOf(id))).toEqual([1]);
  expect(await flow.simulator.callsOf(id)).toHaveLength(1);
}

const routeOf = async (processor: AppProcess | undefined) => {
  const ready = (await processor?.ready()) ?? '';
  return `${/http:\/\/[^\s,]+/.exec(ready)?.[0]}/v1/openai/webhooks`;
};
const someProcessor = () => flow.scene.processors.at(-1);

it('told in time: it waits, says so, takes the paid result, and nothing is sent again', async () => {
  const id = await lostReply({ url: await routeOf(someProcessor()), delayMs: 2_500 });
  const { run } = await flow.runs.view(id);
  expect(run).toMatchObject({ status: 'running', waiting: { reason: 'outcome_unknown' } });
  const limitMs = Date.parse(run.waiting?.until ?? '') - Date.now();
  expect(limitMs).toBeGreaterThan(300_000); // the call's own limit, and the grace
  expect(limitMs).toBeLessThanOrEqual(420_000);
  await flow.runs.completion(id);
  await paidOnce(id);
});

it('told again and again, and once by somebody without the secret: nothing changes', async () => {
  const url = await routeOf(someProcessor());
  const id = await lostReply({ url, delayMs: 1_500, copies: 4 });
  const forged = { ...eventAbout(await responseOf(id)), secret: `whsec_${'A'.repeat(32)}` };
  expect(await deliver(url, forged)).toBe(401);
  expect((await callOf(id)).state).toBe('unknown');
  await flow.runs.completion(id);
  await flow.published();
  const story = await storyOf(flow.watch, id);
  expect(story.filter(({ name }) => name === 'RunCompleted')).toHaveLength(1);
  await paidOnce(id);
});

it('never told: held when the time is over; told late: a redrive takes what was paid for', async () => {
  const url = await routeOf(someProcessor());
  const id = await lostReply(null);
  await flow.database.query(
    `UPDATE processor.calls SET sending_at = sending_at - interval '1 hour' WHERE run_id = $1`,
    [uuidOf(id as RunId)],
  );
  await flow.runs.streamUntil(id, 'review', ({ status }) => status === 'needs_review');
  expect((await flow.runs.view(id)).run.failure?.class).toBe('outcome_unknown');
  expect((await callOf(id)).state).toBe('unknown');

  const event = eventAbout(await responseOf(id));
  const isTold = () => Promise.all([1, 2, 3].map(() => deliver(url, { ...event, secret })));
  expect(await isTold()).toEqual([200, 200, 200]);
  await eventually('it is booked', async () => (await callOf(id)).state === 'done');
  expect((await callOf(id)).usage).toMatchObject({ totalTokens: expect.any(Number) as number });
  expect((await flow.runs.view(id)).run.status).toBe('needs_review'); // a person decides
  await flow.runs.decide(id, 'redrive');
  await flow.runs.completion(id);
  await paidOnce(id);
});

it('its processor is killed while it waits: the next one takes what was told, or waits on', async () => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/v1/openai/webhooks`;
  const soon = await lostReply({ url, delayMs: 8_000 });
  const later = await lostReply({ url, delayMs: 25_000 });
  await Promise.all(flow.scene.processors.map((processor) => processor.killHard()));
  await flow.scene.startProcessor({ PROCESSOR_PORT: String(port) });
  await Promise.all([soon, later].map((id) => flow.runs.completion(id, 60_000)));
  await flow.published();
  for (const id of [soon, later]) {
    await paidOnce(id);
    const story = await storyOf(flow.watch, id);
    expect(story.filter(({ name }) => name === 'RunStarted')).toHaveLength(2);
  }
}, 120_000);

interface Call {
  readonly state: string;
  readonly usage: unknown;
}

async function callOf(id: string): Promise<Call> {
  const { rows } = await flow.database.query<Call>(
    'SELECT state, usage FROM processor.calls WHERE run_id = $1',
    [uuidOf(id as RunId)],
  );
  return rows[0]!;
}

async function responseOf(id: string): Promise<string> {
  const charges = await flow.simulator.charges();
  return charges.find(({ runId }) => runId === uuidOf(id as RunId))!.responseId;
}

const eventAbout = (responseId: string) => ({
  webhookId: `wh_${randomUUID()}`,
  body: JSON.stringify({ object: 'event', type: 'response.completed', data: { id: responseId } }),
});

async function deliver(
  url: string,
  { body, webhookId, secret: key }: { body: string; webhookId: string; secret: string },
): Promise<number> {
  const headers = signWebhook(body, webhookId, key, Date.now());
  return (await fetch(url, { method: 'POST', headers, body })).status;
}
