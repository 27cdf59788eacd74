/** Traces: one per run, over HTTP, outbox, Kafka, steps and model calls. Off unless an OTLP endpoint is set. */
export { startTracing, type Tracing } from './start-tracing.js';
export type { TracingOptions } from './export-spans.js';
export { activeSpan, activeTraceparent, inSpan, isTracing, openSpan } from './spans.js';
export type { OpenSpan, SpanAttributes, SpanPlan } from './spans.js';
export { attemptSpanId } from './attempt-span-id.js';
export { formatTraceparent, parseTraceparent, traceIdOf } from './traceparent.js';
export type { TraceParent } from './traceparent.js';
