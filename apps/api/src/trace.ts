/**
 * The trace of a request: the caller's own, or a new one. Its id is `request.id`: problems and logs show it, tracing on or off.
 * Where tracing is on, each request is a span, and what it causes is its child.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import {
  activeTraceparent,
  formatTraceparent,
  isTracing,
  openSpan,
  parseTraceparent,
  type OpenSpan,
} from '#libs/tracing';

const spans = new WeakMap<FastifyRequest, OpenSpan>();
/** Asked every few seconds by whatever runs the process. */
const UNTRACED = /^\/(livez|readyz|startupz|metrics)$/;

/** The caller's trace id, or a new one, for Fastify's `genReqId`. */
export function traceIdOf(headers: IncomingHttpHeaders): string {
  return callersOf(headers)?.traceId ?? randomBytes(16).toString('hex');
}

/** `traceparent` for messages that this request causes: the same trace, a parent of our own. */
export function traceparentOf(request: Pick<FastifyRequest, 'id' | 'headers'>): string {
  const traceparent = spans.get(request as FastifyRequest)?.traceparent;
  if (traceparent !== undefined) return traceparent;
  const flags = callersOf(request.headers)?.flags ?? '01';
  return formatTraceparent({ traceId: request.id, spanId: randomBytes(8).toString('hex'), flags });
}

/** The same for a record: of the span in which it is processed, else of its own trace, else of a new one. */
export function traceparentOfRecord(record: { readonly traceparent?: string }): string {
  const active = activeTraceparent();
  if (active !== undefined) return active;
  const senders = parseTraceparent(record.traceparent);
  return formatTraceparent({
    traceId: senders?.traceId ?? randomBytes(16).toString('hex'),
    spanId: randomBytes(8).toString('hex'),
    flags: senders?.flags ?? '01',
  });
}

/** A span per request, from its first byte until its answer is through or the caller is gone. Off: not even a hook. */
export function traceRequests(http: FastifyInstance): void {
  if (!isTracing()) return;
  http.addHook('onRequest', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown';
    if (!UNTRACED.test(route)) {
      const span = openSpan(() => requestSpan(request, route));
      spans.set(request, span);
      reply.raw.once('close', () => endSpan(span, reply.statusCode));
    }
    done();
  });
}

/** https://opentelemetry.io/docs/specs/semconv/http/http-spans/; no query and no header but these: they are the caller's. */
function requestSpan(request: FastifyRequest, route: string) {
  const callers = request.headers['traceparent'];
  return {
    name: `${request.method} ${route}`,
    kind: 'server',
    parent: typeof callers === 'string' ? callers : null,
    traceId: request.id,
    attributes: {
      'http.request.method': request.method,
      'http.route': route,
      'url.scheme': request.protocol,
    },
  } as const;
}

function endSpan(span: OpenSpan, status: number): void {
  span.set({ 'http.response.status_code': status });
  if (status >= 500) span.fail(String(status));
  span.end();
}

function callersOf(headers: IncomingHttpHeaders) {
  return parseTraceparent(String(headers['traceparent'] ?? ''));
}
