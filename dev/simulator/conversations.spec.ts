/** Real: HTTP on this machine, the openai SDK, files. The simulator is what is tested here. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import type { ResponseCreateParamsNonStreaming } from 'openai/resources/responses/responses';
import { type Simulator, type SimulatorOptions, startSimulator } from './simulator.js';

const started: Simulator[] = [];
afterEach(async () => {
  for (const simulator of started.splice(0)) await simulator.close();
});

async function start(options: SimulatorOptions = {}) {
  const simulator = await startSimulator({ latencyMs: 20, ...options });
  started.push(simulator);
  const client = new OpenAI({ apiKey: 'sk-spec', baseURL: simulator.baseUrl, maxRetries: 0 });
  return { simulator, client };
}

const question: ResponseCreateParamsNonStreaming = { model: 'gpt-5.2', input: 'Who goes there?' };
const itemsOf = async (client: OpenAI, id: string) =>
  (await client.conversations.items.list(id, { order: 'asc' })).data;

it.each([false, true])('holds what was asked and answered (background: %s)', async (background) => {
  const { client } = await start();
  const { id } = await client.conversations.create();
  expect(id).toMatch(/^conv_/);
  expect(await client.conversations.retrieve(id)).toMatchObject({ id, object: 'conversation' });
  expect(await itemsOf(client, id)).toEqual([]);
  const response = await client.responses.create({ ...question, background, conversation: id });
  expect(response.conversation).toEqual({ id });
  while ((await client.responses.retrieve(response.id)).status !== 'completed') await sleep(5);
  const { output_text: text } = await client.responses.retrieve(response.id);
  expect(await itemsOf(client, id)).toMatchObject([
    { role: 'user', content: [{ type: 'input_text', text: question.input }] },
    { role: 'assistant', status: 'completed', content: [{ type: 'output_text', text }] },
  ]);
});

it.each([false, true])(
  'while one runs a second is refused (background: %s)',
  async (background) => {
    const { client, simulator } = await start({ latencyMs: 300 });
    const { id: conversation } = await client.conversations.create();
    const first = client.responses.create({
      ...question,
      background,
      conversation: { id: conversation },
    });
    while (simulator.charges().total === 0) await sleep(5);
    const locked = { status: 400, code: 'conversation_locked' };
    const again = { ...question, conversation };
    await expect(client.responses.create(again)).rejects.toMatchObject(locked);
    await expect(client.conversations.delete(conversation)).rejects.toMatchObject(locked);
    expect(await itemsOf(client, conversation)).toEqual([]);
    await first;
    while ((await itemsOf(client, conversation)).length === 0) await sleep(10);
    expect(await client.responses.create(again)).toMatchObject({ status: 'completed' });
    expect(simulator.charges().total).toBe(2);
  },
);

it('refuses with 409 where that is scripted', async () => {
  const { client, simulator } = await start();
  const { id: conversation } = await client.conversations.create();
  simulator.addFaults([{ fault: { kind: 'status', status: 409, code: 'conversation_locked' } }]);
  const locked = { status: 409, code: 'conversation_locked' };
  await expect(client.responses.create({ ...question, conversation })).rejects.toMatchObject(
    locked,
  );
});

it('deleted, is found by nobody, and no response begins on it', async () => {
  const { client, simulator } = await start();
  const { id: conversation } = await client.conversations.create();
  expect(simulator.conversations()).toBe(1);
  expect(await client.conversations.delete(conversation)).toMatchObject({ deleted: true });
  expect(simulator.conversations()).toBe(0);
  const gone = { status: 404 };
  await expect(client.conversations.retrieve(conversation)).rejects.toMatchObject(gone);
  await expect(itemsOf(client, conversation)).rejects.toMatchObject(gone);
  await expect(client.conversations.delete(conversation)).rejects.toMatchObject(gone);
  await expect(client.responses.create({ ...question, conversation })).rejects.toMatchObject(gone);
  expect(simulator.charges().total).toBe(0);
});

it('keeps nothing of a response that was cancelled or failed, and is free again', async () => {
  const { client, simulator } = await start({ latencyMs: 200 });
  const { id: conversation } = await client.conversations.create();
  const { id } = await client.responses.create({ ...question, background: true, conversation });
  await client.responses.cancel(id);
  simulator.addFaults([{ fault: { kind: 'failed', code: 'server_error' } }]);
  const failing = { ...question, background: true, conversation };
  expect(await client.responses.create(failing)).toMatchObject({ status: 'queued' });
  expect(await itemsOf(client, conversation)).toEqual([]);
  while (!(await client.conversations.delete(conversation).catch(() => null))) await sleep(20);
  expect(simulator.conversations()).toBe(0);
});

it('forgets nothing over a restart with a data file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'simulator-'));
  const dataFile = join(folder, 'data.jsonl');
  const before = await start({ dataFile });
  const { id } = await before.client.conversations.create();
  const { id: deleted } = await before.client.conversations.create();
  await before.client.conversations.delete(deleted);
  await before.client.responses.create({ ...question, conversation: id });
  await before.simulator.close();
  const after = await start({ dataFile });
  expect(await itemsOf(after.client, id)).toHaveLength(2);
  expect(after.simulator.conversations()).toBe(1);
  rmSync(folder, { recursive: true });
});
