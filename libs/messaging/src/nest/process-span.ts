import type { SpanPlan } from '#libs/tracing';
import { attributeHeaders } from '../envelope/encode-message.js';
import type { Decoded } from '../envelope/message.js';

/** https://opentelemetry.io/docs/specs/semconv/messaging/kafka/: a record being settled, in the trace of its message. */
export function processSpan(decoded: Decoded, groupId: string): SpanPlan {
  const { position } = decoded.kind === 'message' ? decoded.message : decoded;
  return {
    name: `process ${position.topic}`,
    kind: 'consumer',
    parent: traceparentOf(decoded) ?? null,
    attributes: {
      'messaging.system': 'kafka',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': position.topic,
      'messaging.destination.partition.id': String(position.partition),
      'messaging.kafka.offset': Number(position.offset),
      'messaging.consumer.group.name': groupId,
      ...(decoded.kind === 'message'
        ? {
            'messaging.kafka.message.key': decoded.message.key,
            'messaging.message.id': decoded.message.id,
            'holdfast.message.type': decoded.message.type,
          }
        : { 'error.type': decoded.problem.code }),
    },
  };
}

function traceparentOf(decoded: Decoded): string | undefined {
  if (decoded.kind === 'message') return decoded.message.traceparent;
  return decoded.headers[attributeHeaders.traceparent];
}
