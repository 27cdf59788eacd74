/** An OTLP/HTTP collector as small as can be: takes spans as JSON, as https://opentelemetry.io/docs/specs/otlp/ says, and keeps them. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface SeenSpan {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: it has none. */
  readonly parentSpanId: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Span ids. */
  readonly links: readonly string[];
  readonly failed: boolean;
}

interface KeyValue {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface OtlpSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly attributes?: readonly KeyValue[];
  readonly links?: readonly { readonly spanId: string }[];
  readonly status?: { readonly code?: number };
}

interface OtlpRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
}

const ERROR_STATUS = 2;

export class SpanCollector {
  readonly spans: SeenSpan[] = [];
  /** Bodies as they came, to look for what must not be in them. */
  readonly bodies: string[] = [];
  private readonly server = createServer((request, reply) => {
    void this.take(request).then(() =>
      reply.setHeader('Content-Type', 'application/json').end('{}'),
    );
  });

  private constructor() {}

  static async open(): Promise<SpanCollector> {
    const collector = new SpanCollector();
    collector.server.listen(0, '127.0.0.1');
    await once(collector.server, 'listening');
    return collector;
  }

  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  ofTrace(traceId: string): SeenSpan[] {
    return this.spans.filter((span) => span.traceId === traceId);
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }

  private async take(request: IncomingMessage): Promise<void> {
    const body = await text(request);
    this.bodies.push(body);
    if (request.url !== '/v1/traces') return;
    for (const { resource, scopeSpans } of (JSON.parse(body) as OtlpRequest).resourceSpans) {
      const service = String(recordOf(resource.attributes)['service.name']);
      for (const { spans } of scopeSpans)
        this.spans.push(...spans.map((span) => seen(span, service)));
    }
  }
}

function seen(span: OtlpSpan, service: string): SeenSpan {
  const { name, traceId, spanId, parentSpanId = '', attributes = [], links = [], status } = span;
  return {
    ...{ service, name, traceId, spanId, parentSpanId },
    attributes: recordOf(attributes),
    links: links.map((link) => link.spanId),
    failed: status?.code === ERROR_STATUS,
  };
}

function recordOf(attributes: readonly KeyValue[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
