/**
 * How the rest of Holdfast makes spans.
 *
 * (T1) Off costs nothing: no span, no context and no plan is made; `work` is called as it is.
 * (T2) A span never changes what its work does: it returns its value and throws its error.
 * (T3) Spans carry ids, classes and counts. Of an error only its code or name: messages may quote what a caller wrote.
 * (T4) Within a process the parent is the span that is active; over HTTP, tables and Kafka it is a `traceparent`.
 */
import {
  context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Span,
  type SpanContext,
  type Tracer,
} from '@opentelemetry/api';
import type { ChosenIds } from './chosen-ids.js';
import { formatTraceparent, parseTraceparent } from './traceparent.js';

/** Undefined and null are left out. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface SpanPlan {
  readonly name: string;
  /** Default: internal. */
  readonly kind?: 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  readonly attributes?: SpanAttributes;
  /** A `traceparent`; null or unreadable: a trace of its own. Left out: the active span. */
  readonly parent?: string | null | undefined;
  /** `traceparent`s of spans that this one follows without being their child. */
  readonly follows?: readonly string[];
  /** Default: random. */
  readonly spanId?: string;
  /** The trace that a span without parent begins. Default: random. */
  readonly traceId?: string;
}

export interface OpenSpan {
  set(attributes: SpanAttributes): void;
  /** It did not do what it was for. @param type a class or a code, never a text */
  fail(type: string): void;
  end(): void;
  /** For whatever this span causes elsewhere; undefined while tracing is off. */
  readonly traceparent: string | undefined;
}

interface Recorder {
  readonly tracer: Tracer;
  readonly ids: ChosenIds;
}

let recorder: Recorder | null = null;

/** For startTracing. */
export function recordWith(newRecorder: Recorder | null): void {
  recorder = newRecorder;
}

export function isTracing(): boolean {
  return recorder !== null;
}

/** Does the work inside a span, which is the parent of the spans in it. `plan` is only asked while tracing is on. */
export async function inSpan<T>(
  plan: () => SpanPlan,
  work: (span: OpenSpan) => Promise<T>,
): Promise<T> {
  if (!recorder) return work(NO_SPAN); // (T1)
  const { span, within } = begin(plan(), recorder);
  const open = openSpanOf(span);
  try {
    return await context.with(trace.setSpan(within, span), () => work(open));
  } catch (error) {
    open.fail(errorTypeOf(error)); // (T3)
    throw error; // (T2)
  } finally {
    open.end();
  }
}

/** A span that the caller ends. It is not active: its children name it as their parent. */
export function openSpan(plan: () => SpanPlan): OpenSpan {
  return recorder ? openSpanOf(begin(plan(), recorder).span) : NO_SPAN;
}

/** For what turns out deep inside the work. */
export function activeSpan(): OpenSpan {
  const active = recorder ? trace.getActiveSpan() : undefined;
  return active ? openSpanOf(active) : NO_SPAN;
}

/** Of the span that is active now, for requests to others. */
export function activeTraceparent(): string | undefined {
  const active = recorder && trace.getSpanContext(context.active());
  return active ? traceparentOf(active) : undefined;
}

const NO_SPAN: OpenSpan = {
  set: () => undefined,
  fail: () => undefined,
  end: () => undefined,
  traceparent: undefined,
};

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;

function begin(plan: SpanPlan, { tracer, ids }: Recorder): { span: Span; within: Context } {
  const within = contextOf(plan);
  const links = (plan.follows ?? []).flatMap((traceparent) => {
    const followed = spanContextOf(traceparent);
    return followed ? [{ context: followed }] : [];
  });
  const options = { kind: KINDS[plan.kind ?? 'internal'], attributes: cleaned(plan.attributes) };
  const span = ids.choose(plan, () => tracer.startSpan(plan.name, { ...options, links }, within));
  return { span, within };
}

/** (T4) */
function contextOf(plan: SpanPlan): Context {
  if (!('parent' in plan)) return context.active();
  const parent = spanContextOf(plan.parent);
  return parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT;
}

function spanContextOf(traceparent: string | null | undefined): SpanContext | undefined {
  const parsed = parseTraceparent(traceparent);
  if (!parsed) return undefined;
  const { traceId, spanId, flags } = parsed;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
}

function openSpanOf(span: Span): OpenSpan {
  return {
    set: (attributes) => void span.setAttributes(cleaned(attributes)),
    fail: (type) => {
      span.setAttribute('error.type', type);
      span.setStatus({ code: SpanStatusCode.ERROR });
    },
    end: () => span.end(),
    traceparent: traceparentOf(span.spanContext()),
  };
}

function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return formatTraceparent({ traceId, spanId, flags: traceFlags.toString(16).padStart(2, '0') });
}

function cleaned(attributes: SpanAttributes = {}): Record<string, string | number | boolean> {
  const kept: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) kept[name] = value;
  }
  return kept;
}

/** Not `instanceof`: Node's own errors come from another realm where specs run in one of their own. */
function errorTypeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return 'unknown';
  if ('code' in error && typeof error.code === 'string') return error.code;
  return 'name' in error && typeof error.name === 'string' ? error.name : 'unknown';
}
