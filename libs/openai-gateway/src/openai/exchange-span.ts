import type { OpenSpan, SpanPlan } from '#libs/tracing';
import type { Answered, Exchange } from './exchange.js';

/** One request to OpenAI: https://opentelemetry.io/docs/specs/semconv/http/http-spans/ */
export function exchangeSpan(
  method: 'GET' | 'POST' | 'DELETE',
  route: string,
  baseUrl: string,
): SpanPlan {
  const { hostname, port, protocol } = new URL(baseUrl);
  return {
    name: `${method} ${route}`,
    kind: 'client',
    attributes: {
      'http.request.method': method,
      'url.template': route,
      'server.address': hostname,
      'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
    },
  };
}

export function tellExchange(span: OpenSpan, exchange: Exchange | Answered<unknown>): void {
  span.set({ 'holdfast.openai.request_id': exchange.requestId });
  switch (exchange.kind) {
    case 'answered':
      span.set({ 'http.response.status_code': 200 });
      if ('response' in exchange)
        span.set({
          'gen_ai.response.id': exchange.response.id,
          'holdfast.openai.status': exchange.response.status,
        });
      return;
    case 'refused':
      span.set({ 'http.response.status_code': exchange.status });
      span.fail(exchange.code ?? String(exchange.status));
      return;
    case 'no_answer':
      span.set({ 'http.response.status_code': exchange.httpStatus });
      span.fail(exchange.cause);
      return;
  }
}
