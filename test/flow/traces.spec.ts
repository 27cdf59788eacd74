/**
 * One trace per run, over both processes. Real: api and processors as processes of their own, Postgres, Kafka, OpenTelemetry's SDK
 * and exporter. Stand in: the simulator for OpenAI, a small OTLP/HTTP collector.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { topics, type RunView } from '#libs/contracts';
import { uuidOf, type RunId } from '#libs/domain';
import { attemptSpanId, traceIdOf } from '#libs/tracing';
import { eventually } from '../support/eventually.js';
import { openFlow, type Flow } from '../support/flow.js';
import { SpanCollector, type SeenSpan } from '../support/span-collector.js';
import { headerOf } from '../support/topic-watch.js';

let collector: SpanCollector;
let flow: Flow;
beforeAll(async () => {
  collector = await SpanCollector.open();
  flow = await openFlow({
    processors: 2,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '100' },
  });
});
afterAll(async () => {
  await flow?.close();
  await collector?.close();
});

it('a run that is retried is one connected trace of its caller, and every later claim links to the one before', async () => {
  const traceId = randomBytes(16).toString('hex');
  const callersSpan = randomBytes(8).toString('hex');
  const secret = `secret ${randomUUID()}`;
  await flow.simulator.script({
    match: { inputIncludes: secret },
    fault: {
      kind: 'status',
      status: 429,
      code: 'rate_limit_exceeded',
      headers: { 'retry-after': '5' },
    },
  });
  const run = await submit(secret, `00-${traceId}-${callersSpan}-01`);
  await flow.runs.completion(run.id);
  await flow.published();
  const spans = await traceOnceItHas(traceId, {
    'process holdfast.run.events.v1': 4,
    'run answer': 2,
  });

  // Connected: whatever has a parent has it here; the one root is the request, whose parent is the caller's.
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const roots = spans.filter(({ parentSpanId }) => !ids.has(parentSpanId));
  expect(roots.map(({ name, parentSpanId }) => [name, parentSpanId])).toEqual([
    ['POST /v1/runs', callersSpan],
  ]);
  expect(new Set(spans.map(({ service }) => service))).toEqual(
    new Set(['holdfast-api', 'holdfast-processor']),
  );
  const names = spans.map(({ name }) => name);
  for (const expected of [
    'send holdfast.run.requested.v1',
    'process holdfast.run.requested.v1',
    'step ask',
    'POST /responses',
    'GET /responses/{response_id}',
    'send holdfast.run.requested.v1.retry.5s',
    'process holdfast.run.requested.v1.retry.5s',
    'send holdfast.run.events.v1',
    'process holdfast.run.events.v1',
  ])
    expect(names).toContain(expected);

  const [first, second] = spans.filter(({ name }) => name === 'run answer');
  expect(first).toMatchObject({
    failed: true,
    links: [],
    attributes: {
      'holdfast.run.id': run.id,
      'holdfast.run.outcome': 'retry_later',
      'error.type': 'throttled',
    },
  });
  expect(second).toMatchObject({
    failed: false,
    links: [first?.spanId],
    attributes: { 'holdfast.run.outcome': 'completed' },
  });
  const calls = spans.filter(({ attributes }) => 'gen_ai.operation.name' in attributes);
  expect(calls.map(({ failed }) => failed)).toEqual([true, false]);
  expect(calls[1]?.attributes).toMatchObject({
    'gen_ai.provider.name': 'openai',
    'holdfast.call.outcome': 'completed',
    'gen_ai.usage.output_tokens': expect.any(Number) as number,
  });
  for (const body of collector.bodies) expect(body).not.toContain(secret);
});

it('a run that is taken over after kill -9 stays one trace; the new claim links to the one that died', async () => {
  const question = `slow ${randomUUID()}`;
  await flow.simulator.script({
    match: { inputIncludes: question },
    fault: { kind: 'latency', ms: 600_000 },
  });
  const { id } = await flow.runs.ask(question);
  const uuid = uuidOf(id as RunId);
  await eventually('the call is at the model', async () => {
    const { rows } = await flow.database.query(
      `SELECT FROM processor.calls WHERE run_id = $1 AND state = 'accepted'`,
      [uuid],
    );
    return rows.length === 1;
  });
  await (await flow.ownerOf(id)).killHard();
  await flow.simulator.finish();
  await flow.runs.completion(id);

  const [requested] = flow.watch.of(topics.runRequested, id);
  const traceId = traceIdOf(requested && headerOf(requested, 'traceparent')) ?? '';
  const spans = await traceOnceItHas(traceId, { 'run answer': 1 });
  const takenOver = spans.find(({ name }) => name === 'run answer');
  expect(takenOver).toMatchObject({
    links: [attemptSpanId(uuid, 1n)],
    attributes: { 'holdfast.run.outcome': 'completed' },
  });
  const request = spans.find(({ name }) => name === 'POST /v1/runs');
  expect(request?.parentSpanId).toBe('');
  expect(takenOver?.parentSpanId).toBe(request?.spanId);
});

it('a collector that is away changes nothing: runs complete, one warning, and the drain is not held up', async () => {
  const dead = await SpanCollector.open();
  const { url } = dead;
  await dead.close();
  await Promise.all(flow.scene.processors.map((other) => other.stop()));
  const processor = await flow.scene.startProcessor({ OTEL_EXPORTER_OTLP_ENDPOINT: url });

  const asked = await Promise.all([1, 2, 3].map((n) => flow.runs.ask(`And ${n}?`)));
  await Promise.all(asked.map(({ id }) => flow.runs.completion(id)));
  await flow.published();
  const stoppedAtMs = performance.now();
  expect(await processor.stop()).toEqual({ code: 0, signal: null });
  expect(performance.now() - stoppedAtMs).toBeLessThan(8_000);
  expect(processor.output().match(/spans are not exported/g)?.length ?? 0).toBeLessThanOrEqual(1);
});

async function submit(question: string, traceparent: string): Promise<RunView> {
  const answer = await fetch(`${flow.scene.apiUrl}/v1/runs`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      'Idempotency-Key': randomUUID(),
      traceparent,
    },
    body: JSON.stringify({ workflow: 'answer', input: { question } }),
  });
  return (await answer.json()) as RunView;
}

/** Its spans in the order in which they came, once there are so many of each name. */
function traceOnceItHas(traceId: string, counts: Record<string, number>): Promise<SeenSpan[]> {
  return eventually(`spans ${JSON.stringify(counts)} of trace ${traceId}`, () => {
    const spans = collector.ofTrace(traceId);
    const has = (name: string) => spans.filter((span) => span.name === name).length;
    return Object.entries(counts).every(([name, count]) => has(name) >= count) && spans;
  });
}
