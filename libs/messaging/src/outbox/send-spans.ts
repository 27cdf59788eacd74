import { isTracing, openSpan, type OpenSpan } from '#libs/tracing';
import { attributeHeaders } from '../envelope/encode-message.js';
import type { OutboxRow } from './relay.store.js';

export interface SendSpans {
  sent(): void;
  failed(error: unknown): void;
}

/** A span per message, in the trace that the message belongs to: how long it took from the outbox to the acknowledgement. */
export function openSendSpans(rows: readonly OutboxRow[]): SendSpans {
  const spans = isTracing() ? rows.flatMap(sendSpan) : [];
  const endAll = () => spans.forEach((span) => span.end());
  return {
    sent: endAll,
    failed: (error) => {
      for (const span of spans) span.fail(error instanceof Error ? error.name : 'unknown');
      endAll();
    },
  };
}

/** https://opentelemetry.io/docs/specs/semconv/messaging/kafka/; none for messages without a trace. */
function sendSpan({ topic, key, headers }: OutboxRow): OpenSpan[] {
  const said = JSON.parse(headers.toString('utf8')) as Record<string, string>;
  const traceparent = said[attributeHeaders.traceparent];
  if (traceparent === undefined) return [];
  const attributes = {
    'messaging.system': 'kafka',
    'messaging.operation.name': 'send',
    'messaging.operation.type': 'send',
    'messaging.destination.name': topic,
    'messaging.kafka.message.key': key,
    'messaging.message.id': said[attributeHeaders.id],
    'holdfast.message.type': said[attributeHeaders.type],
  };
  return [
    openSpan(() => ({ name: `send ${topic}`, kind: 'producer', parent: traceparent, attributes })),
  ];
}
