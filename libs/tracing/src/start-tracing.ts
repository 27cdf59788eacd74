/**
 * Turns tracing on where OpenTelemetry's own variables ask for it, and only then loads its SDK. They are read as
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ says.
 *
 * (S1) Spans are exported in batches, from a bounded queue, beside the work: a collector that is slow or away costs spans.
 * (S2) What a collector does wrong is one warning a minute, and nothing else.
 * (S3) Stopping sends what is left, for as long as it was given and no longer.
 */
import type { TracingOptions } from './export-spans.js';
import { recordWith } from './spans.js';

export interface Tracing {
  /** Sends the spans that are left; resolves after at most `flushMs`. No spans are made any more. */
  readonly stop: (limits: { readonly flushMs: number }) => Promise<void>;
}

const OFF: Tracing = { stop: () => Promise.resolve() };

export async function startTracing(options: TracingOptions): Promise<Tracing> {
  if (!isAskedFor(process.env)) return OFF;
  const { exportSpans } = await import('./export-spans.js');
  const spans = exportSpans(options);
  recordWith(spans.recorder);
  return {
    stop: async ({ flushMs }) => {
      recordWith(null);
      await within(spans.shutdown(), flushMs); // (S3)
    },
  };
}

/** Off: no endpoint, OTEL_SDK_DISABLED=true, or OTEL_TRACES_EXPORTER=none. */
function isAskedFor(env: NodeJS.ProcessEnv): boolean {
  const said = (name: string) => env[name]?.trim() ?? '';
  if (said('OTEL_SDK_DISABLED').toLowerCase() === 'true') return false;
  if (said('OTEL_TRACES_EXPORTER') === 'none') return false;
  return [said('OTEL_EXPORTER_OTLP_ENDPOINT'), said('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT')].some(
    (endpoint) => endpoint !== '',
  );
}

async function within(work: Promise<unknown>, limitMs: number): Promise<void> {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, limitMs);
  await Promise.race([work.catch(() => undefined), over]); // (S2) has told of it
  clearTimeout(timer);
}
