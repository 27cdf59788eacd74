import type { FastifyInstance } from 'fastify';
import type { Metrics } from '#libs/metrics';

/** Measures every request, by the pattern of its route: addresses hold ids. Call it before the routes are made. */
export function timeRequests(http: FastifyInstance, metrics: Metrics): void {
  http.addHook('onResponse', (request, reply, done) => {
    const isStream = String(reply.getHeader('content-type')).startsWith('text/event-stream');
    const route = request.is404 ? 'none' : (request.routeOptions.url ?? 'none');
    const labels = { method: request.method, route, status: String(reply.statusCode) };
    if (!isStream) {
      metrics.observe('holdfast_http_request_duration_seconds', labels, reply.elapsedTime / 1_000);
    }
    done();
  });
}
