import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** W3C Trace Context (https://www.w3.org/TR/trace-context/): version, trace id, parent id, flags. */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/;

/** The caller's trace id, or a new one. Fastify keeps it as `request.id`; problems and logs show it. */
export function traceIdOf(headers: IncomingHttpHeaders): string {
  return parsed(headers)?.traceId ?? randomBytes(16).toString('hex');
}

/** `traceparent` for messages that this request causes: the same trace, a parent of our own. */
export function traceparentOf(traceId: string, headers: IncomingHttpHeaders): string {
  return `00-${traceId}-${randomBytes(8).toString('hex')}-${parsed(headers)?.flags ?? '01'}`;
}

function parsed(headers: IncomingHttpHeaders): { traceId: string; flags: string } | undefined {
  const [, traceId, flags] = TRACEPARENT.exec(String(headers['traceparent'] ?? '')) ?? [];
  return traceId && flags ? { traceId, flags } : undefined;
}
