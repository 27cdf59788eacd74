/** Real: OpenTelemetry's SDK and exporter. Stands in: an HTTP server for the collector. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { SpanCollector } from '../../support/span-collector.js';
import {
  attemptSpanId,
  inSpan,
  isTracing,
  openSpan,
  startTracing,
  type SpanPlan,
} from '#libs/tracing';

const log = { warn: () => undefined };
let collector: SpanCollector;
beforeEach(async () => {
  collector = await SpanCollector.open();
});
afterEach(() => collector.close());

const on = () => ({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
const start = (env: Record<string, string>) => {
  for (const name of Object.keys(process.env))
    if (name.startsWith('OTEL_')) delete process.env[name];
  Object.assign(process.env, env);
  return startTracing({ service: 'spec', log });
};

it.each([
  ['no endpoint is set', () => ({})],
  ['the SDK is disabled', () => ({ ...on(), OTEL_SDK_DISABLED: 'true' })],
  ['the exporter is none', () => ({ ...on(), OTEL_TRACES_EXPORTER: 'none' })],
])('off when %s: no span is made, none is exported', async (_when, env) => {
  const tracing = await start(env());
  let plans = 0;
  const plan = (): SpanPlan => ({ name: `span ${(plans += 1)}` });
  expect(isTracing()).toBe(false);
  expect(await inSpan(plan, (span) => Promise.resolve(span.traceparent ?? 'none'))).toBe('none');
  openSpan(plan).end();
  await tracing.stop({ flushMs: 1_000 });
  expect(plans).toBe(0);
  expect(collector.bodies).toEqual([]);
});

it('nests by what is active, follows a traceparent, takes chosen ids, and flushes at its stop', async () => {
  const tracing = await start(on());
  const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  await inSpan(
    () => ({
      name: 'outer',
      parent,
      spanId: attemptSpanId('run', 2n),
      attributes: { a: 1, b: null },
    }),
    () =>
      inSpan(
        () => ({ name: 'inner' }),
        () => Promise.resolve(),
      ),
  );
  openSpan(() => ({ name: 'alone', parent: null, traceId: 'f'.repeat(32) })).end();
  await tracing.stop({ flushMs: 5_000 });
  const [inner, outer, alone] = collector.spans;
  expect(outer).toMatchObject({
    traceId: '0af7651916cd43dd8448eb211c80319c',
    parentSpanId: 'b7ad6b7169203331',
    spanId: attemptSpanId('run', 2n),
    attributes: { a: 1 },
  });
  expect(inner).toMatchObject({ name: 'inner', parentSpanId: outer?.spanId });
  expect(alone).toMatchObject({ traceId: 'f'.repeat(32), parentSpanId: '' });
});

it('an error goes through as it is, and leaves its code in the span, not its text', async () => {
  const tracing = await start(on());
  const error = Object.assign(new Error('what the caller wrote'), { code: 'broken' });
  const plan = () => ({ name: 'fails' });
  await expect(inSpan(plan, () => Promise.reject(error))).rejects.toBe(error);
  await tracing.stop({ flushMs: 5_000 });
  expect(collector.spans).toMatchObject([{ failed: true, attributes: { 'error.type': 'broken' } }]);
  expect(collector.bodies.join()).not.toContain('what the caller wrote');
});

it('what a caller does not record is not recorded here', async () => {
  const tracing = await start(on());
  const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';
  const span = openSpan(() => ({ name: 'unsampled', parent }));
  expect(span.traceparent).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-.{16}-00$/);
  span.end();
  await tracing.stop({ flushMs: 5_000 });
  expect(collector.spans).toEqual([]);
});

it('a collector that never answers holds a stop no longer than it was given', async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const tracing = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` });
  openSpan(() => ({ name: 'stuck' })).end();
  const stoppedAtMs = performance.now();
  await tracing.stop({ flushMs: 200 });
  expect(performance.now() - stoppedAtMs).toBeLessThan(2_000);
  sockets.forEach((socket) => socket.destroy());
  silent.close();
});
