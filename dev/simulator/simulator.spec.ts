/** Real: HTTP on this machine, the openai SDK, files. The simulator is what is tested here. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import OpenAI from 'openai';
import type { ResponseCreateParamsNonStreaming } from 'openai/resources/responses/responses';
import { type Simulator, type SimulatorOptions, startSimulator } from './simulator.js';

const started: Simulator[] = [];
afterEach(async () => {
  jest.restoreAllMocks();
  for (const simulator of started.splice(0)) await simulator.close();
});

async function start(options: SimulatorOptions = {}) {
  const simulator = await startSimulator({ latencyMs: 20, ...options });
  started.push(simulator);
  const client = new OpenAI({ apiKey: 'sk-spec', baseURL: simulator.baseUrl, maxRetries: 0 });
  return { simulator, client };
}

const question: ResponseCreateParamsNonStreaming = {
  model: 'gpt-5.2',
  input: 'How many roads must a man walk down?',
  metadata: { call_id: 'call-1', run_id: 'run-1' },
};

describe('a response', () => {
  it('in the foreground is complete when it is answered', async () => {
    const { client, simulator } = await start();
    const response = await client.responses.create(question);
    expect(response).toMatchObject({
      status: 'completed',
      model: 'gpt-5.2-2026-01-15',
      metadata: question.metadata,
    });
    expect(response.output_text).toContain('How many roads');
    expect(response.usage?.total_tokens).toBeGreaterThan(0);
    expect(simulator.charges()).toMatchObject({
      total: 1,
      byCallId: { 'call-1': 1 },
      byRunId: { 'run-1': 1 },
    });
  });

  it('in the background is queued, then worked on, then complete, and charged once', async () => {
    const acceptedAtMs = Date.now();
    const clock = jest.spyOn(Date, 'now').mockReturnValue(acceptedAtMs);
    const { client, simulator } = await start({ latencyMs: 100_000 }); // 70 to 130 s
    const { data, response } = await client.responses
      .create({ ...question, background: true })
      .withResponse();
    expect(data).toMatchObject({ status: 'queued', output: [], usage: null });
    expect(response.headers.get('x-request-id')).toMatch(/^req_/);
    expect(response.headers.get('x-ratelimit-remaining-requests')).toBe('5999999');
    for (const [ageMs, status] of [
      [13_000, 'queued'],
      [27_000, 'in_progress'],
      [69_000, 'in_progress'],
      [131_000, 'completed'],
    ] as const) {
      clock.mockReturnValue(acceptedAtMs + ageMs);
      expect(await client.responses.retrieve(data.id)).toMatchObject({ status });
    }
    expect(simulator.charges().total).toBe(1);
  });

  it('is the same for the same request', async () => {
    const [one, other] = [await start(), await start()];
    const first = await one.client.responses.create(question);
    const second = await other.client.responses.create(question);
    expect(second.output_text).toBe(first.output_text);
    expect(second.usage).toEqual(first.usage);
  });

  it('that does not fit its token limit is incomplete', async () => {
    const { client } = await start();
    const response = await client.responses.create({ ...question, max_output_tokens: 16 });
    expect(response).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
    });
  });
});

describe('a cancel', () => {
  it('ends a background response, can be repeated, and frees what was still queued from its charge', async () => {
    const { client, simulator } = await start({ latencyMs: 60_000 });
    const { id } = await client.responses.create({ ...question, background: true });
    expect(simulator.charges().total).toBe(1);
    expect(await client.responses.cancel(id)).toMatchObject({ status: 'cancelled', usage: null });
    expect(await client.responses.cancel(id)).toMatchObject({ status: 'cancelled' });
    expect(simulator.charges().total).toBe(0);
  });

  it('leaves a completed response as it is, and is refused in the foreground', async () => {
    const { client } = await start({ latencyMs: 0 });
    const { id } = await client.responses.create({ ...question, background: true });
    expect(await client.responses.cancel(id)).toMatchObject({ status: 'completed' });
    const foreground = await client.responses.create(question);
    await expect(client.responses.cancel(foreground.id)).rejects.toMatchObject({ status: 400 });
  });
});

describe('an order to finish', () => {
  it('ends what has been worked on the longest, so many responses, then all', async () => {
    const { client, simulator } = await start({ latencyMs: 600_000 });
    const ids: string[] = [];
    for (let n = 0; n < 4; n += 1)
      ids.push((await client.responses.create({ ...question, background: true })).id);
    await client.responses.cancel(ids[0]!);
    const states = () =>
      Promise.all(ids.map(async (id) => (await client.responses.retrieve(id)).status));
    simulator.finish(1);
    expect(await states()).toEqual(['cancelled', 'completed', 'queued', 'queued']);
    const body = JSON.stringify({ count: 1 });
    await fetch(`${simulator.url}/__sim/finish`, { method: 'POST', body });
    expect(await states()).toEqual(['cancelled', 'completed', 'completed', 'queued']);
    simulator.finish();
    expect(await states()).toEqual(['cancelled', 'completed', 'completed', 'completed']);
  });

  it('answers who waits in the foreground, and what hangs', async () => {
    const { client, simulator } = await start({ latencyMs: 600_000 });
    simulator.addFaults([{ match: { operation: 'cancel' }, fault: { kind: 'hang', ms: 600_000 } }]);
    const { id } = await client.responses.create({ ...question, background: true });
    const answers = Promise.all([client.responses.create(question), client.responses.cancel(id)]);
    while (simulator.requests().length < 3) await new Promise((resolve) => setImmediate(resolve));
    simulator.finish();
    expect((await answers).map(({ status }) => status)).toEqual(['completed', 'completed']);
    expect(simulator.charges().total).toBe(2);
  });
});

it('forgets nothing over a restart with a data file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'simulator-'));
  const dataFile = join(folder, 'data.jsonl');
  const before = await start({ dataFile });
  const { id } = await before.client.responses.create({ ...question, background: true });
  await before.simulator.close();
  const after = await start({ dataFile });
  expect(await after.client.responses.retrieve(id)).toMatchObject({
    id,
    metadata: question.metadata,
  });
  expect(after.simulator.charges()).toEqual(before.simulator.charges());
  rmSync(folder, { recursive: true });
});

describe('what OpenAI refuses is refused, and costs nothing', () => {
  const strict = (schema: Record<string, unknown>) => ({
    text: { format: { type: 'json_schema', name: 'x', strict: true, schema } },
  });
  const object = (changes: object) => ({
    type: 'object',
    properties: { a: { type: 'string' } },
    required: ['a'],
    additionalProperties: false,
    ...changes,
  });
  it.each<[string, object, object]>([
    ['no model', { model: undefined }, { code: 'missing_required_parameter', param: 'model' }],
    ['an unknown model', { model: 'claude-9' }, { code: 'model_not_found' }],
    ['no input', { input: undefined }, { code: 'missing_required_parameter', param: 'input' }],
    [
      'a number in metadata',
      { metadata: { attempt: 1 } },
      { code: 'invalid_type', param: 'metadata.attempt' },
    ],
    ['max_output_tokens below 16', { max_output_tokens: 15 }, { code: 'integer_below_min_value' }],
    ['an unknown parameter', { idempotency_key: 'x' }, { code: 'unknown_parameter' }],
    ['background without store', { background: true, store: false }, { param: 'background' }],
    ['a schema that is no object', strict({ type: 'array' }), { code: 'invalid_json_schema' }],
    [
      'a schema open to more',
      strict(object({ additionalProperties: true })),
      { code: 'invalid_json_schema' },
    ],
    ['a key not required', strict(object({ required: [] })), { code: 'invalid_json_schema' }],
    ['allOf', strict(object({ allOf: [] })), { code: 'invalid_json_schema' }],
    [
      'a nested schema open to more',
      strict(object({ properties: { a: { type: 'array', items: { type: 'object' } } } })),
      { code: 'invalid_json_schema' },
    ],
    ['too much text', { input: 'word '.repeat(400_000) }, { code: 'context_length_exceeded' }],
  ])('%s', async (_, changes, error) => {
    const { client, simulator } = await start();
    const request = { ...question, ...changes };
    await expect(client.responses.create(request)).rejects.toMatchObject({
      status: 400,
      type: 'invalid_request_error',
      ...error,
    });
    expect(simulator.charges().total).toBe(0);
  });

  it('no key', async () => {
    const { simulator } = await start();
    const answer = await fetch(`${simulator.baseUrl}/responses`, { method: 'POST', body: '{}' });
    expect(answer.status).toBe(401);
  });
});

describe('scripted faults', () => {
  const post = (simulator: Simulator, body: unknown) =>
    fetch(`${simulator.url}/__sim/faults`, { method: 'POST', body: JSON.stringify(body) });

  it('hit the requests they name, as often as they say', async () => {
    const { client, simulator } = await start();
    await post(simulator, [
      {
        match: { runId: 'run-1', nth: 2 },
        fault: {
          kind: 'status',
          status: 429,
          code: 'rate_limit_exceeded',
          headers: { 'retry-after': '9' },
        },
        times: 2,
      },
    ]);
    const statuses: unknown[] = [];
    for (let turn = 0; turn < 4; turn += 1)
      statuses.push(
        await client.responses.create(question).then(
          () => 200,
          (error: { status: number }) => error.status,
        ),
      );
    expect(statuses).toEqual([200, 429, 429, 200]);
    expect(
      await client.responses.create({ ...question, metadata: { run_id: 'run-2' } }),
    ).toBeTruthy();
    expect(simulator.charges().total).toBe(3);
  });

  it('lose a reply after the work was charged', async () => {
    const { client, simulator } = await start();
    simulator.addFaults([{ fault: { kind: 'reset_after_charge' } }]);
    await expect(client.responses.create(question)).rejects.toThrow();
    expect(simulator.charges().total).toBe(1);
  });

  it('are taken back', async () => {
    const { client, simulator } = await start();
    await post(simulator, { fault: { kind: 'status', status: 500 }, times: 'always' });
    await fetch(`${simulator.url}/__sim/faults`, { method: 'DELETE' });
    expect(await client.responses.create(question)).toMatchObject({ status: 'completed' });
  });

  it('with a mistake in them are refused', async () => {
    const { simulator } = await start();
    const answer = await post(simulator, [{ fault: { kind: 'explode' } }]);
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain('fault.kind must be one of');
  });
});

describe('the rate limits', () => {
  const ask = async (simulator: { baseUrl: string }, maxOutputTokens: number) => {
    const body = JSON.stringify({ ...question, max_output_tokens: maxOutputTokens });
    const headers = { authorization: 'Bearer sk', 'content-type': 'application/json' };
    return fetch(`${simulator.baseUrl}/responses`, { method: 'POST', headers, body });
  };

  it('turn away what does not fit, say when it will, and take nothing for it', async () => {
    const { simulator } = await start();
    simulator.orderLimits({ requests: 10, tokens: 1_000, windowMs: 10_000 });
    const first = await ask(simulator, 900);
    expect([first.status, first.headers.get('x-ratelimit-remaining-tokens')]).toEqual([200, '100']);
    const second = await ask(simulator, 300);
    expect(second.status).toBe(429);
    const { error } = (await second.json()) as { error: { code: string; message: string } };
    expect(error.code).toBe('rate_limit_exceeded');
    expect(error.message).toMatch(/Limit 1000, Used 8\d\d, Requested 300. Please try again in /);
    const waitMs = Number(second.headers.get('retry-after-ms'));
    expect(waitMs).toBeGreaterThan(1_000);
    expect(waitMs).toBeLessThanOrEqual(2_000);
    expect(second.headers.get('x-ratelimit-limit-requests')).toBe('10');
    expect(simulator.charges().total).toBe(1);
    expect(simulator.requests().map(({ isLimited }) => isLimited)).toEqual([false, true]);
  });

  it('can be changed while it runs, over HTTP too', async () => {
    const { simulator } = await start();
    const order = (body: object) =>
      fetch(`${simulator.url}/__sim/limits`, { method: 'POST', body: JSON.stringify(body) });
    expect((await order({ requests: 5, tokens: 100 })).status).toBe(200);
    const tooLarge = await ask(simulator, 101);
    expect(await tooLarge.text()).toContain('Request too large');
    expect((await order({ requests: 5 })).status).toBe(400);
    await fetch(`${simulator.url}/__sim/limits`, { method: 'DELETE' });
    expect((await ask(simulator, 101)).status).toBe(200);
  });
});
