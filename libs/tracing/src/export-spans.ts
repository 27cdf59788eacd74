/** OpenTelemetry's SDK, put together: ids, sampler, batches, OTLP over HTTP with JSON. Loaded only where tracing is on. */
import { randomUUID } from 'node:crypto';
import { context, diag, DiagLogLevel, type Tracer } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type Sampler,
} from '@opentelemetry/sdk-trace';
import { ChosenIds } from './chosen-ids.js';

export interface TracingOptions {
  /** `service.name`, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES says otherwise. */
  readonly service: string;
  readonly log: { warn(fields: object, message: string): void };
}

export interface SpanExport {
  readonly recorder: { readonly tracer: Tracer; readonly ids: ChosenIds };
  shutdown(): Promise<void>;
}

const WARN_EVERY_MS = 60_000;
/** No id, class or name of ours is longer. */
const MAX_ATTRIBUTE_CHARS = 512;

export function exportSpans({ service, log }: TracingOptions): SpanExport {
  const { env } = process;
  diag.setLogger(warningsTo(log), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const ids = new ChosenIds();
  const ours = resourceFromAttributes({
    'service.name': service,
    'service.namespace': 'holdfast',
    'service.instance.id': randomUUID(),
  });
  const provider = new TracerProvider({
    idGenerator: ids,
    resource: ours.merge(detectResources({ detectors: [envDetector] })),
    sampler: samplerOf(env),
    spanLimits: { attributeValueLengthLimit: MAX_ATTRIBUTE_CHARS },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter(),
        maxQueueSize: positive(env['OTEL_BSP_MAX_QUEUE_SIZE'], 2_048),
        maxExportBatchSize: positive(env['OTEL_BSP_MAX_EXPORT_BATCH_SIZE'], 512),
        scheduledDelayMillis: positive(env['OTEL_BSP_SCHEDULE_DELAY'], 5_000),
        exportTimeoutMillis: positive(env['OTEL_BSP_EXPORT_TIMEOUT'], 30_000),
      }),
    ],
  });
  return {
    recorder: { tracer: provider.getTracer('holdfast'), ids },
    shutdown: () => provider.shutdown(),
  };
}

/** OTEL_TRACES_SAMPLER and its argument; whatever it does not name is the default: all, unless the caller's trace is not recorded. */
function samplerOf(env: NodeJS.ProcessEnv): Sampler {
  const ratio = Number(env['OTEL_TRACES_SAMPLER_ARG']?.trim() || 1);
  const share = new TraceIdRatioBasedSampler(ratio >= 0 && ratio <= 1 ? ratio : 1);
  switch (env['OTEL_TRACES_SAMPLER']?.trim()) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return share;
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: share });
    default:
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
  }
}

function positive(text: string | undefined, fallback: number): number {
  const value = Number(text?.trim() || fallback);
  return Number.isSafeInteger(value) && value > 0 ? value : fallback;
}

/** The SDK complains of every batch. */
function warningsTo(log: TracingOptions['log']) {
  let saidAtMs = -Infinity;
  const warn = (problem: string) => {
    if (performance.now() - saidAtMs < WARN_EVERY_MS) return;
    saidAtMs = performance.now();
    log.warn({ problem: problem.slice(0, 500) }, 'spans are not exported; runs are not affected');
  };
  const silent = () => undefined;
  return { error: warn, warn, info: silent, debug: silent, verbose: silent };
}
