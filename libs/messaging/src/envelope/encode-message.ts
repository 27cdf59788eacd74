import { MessageInvalidError, type Message } from './message.js';

export interface EncodedMessage {
  readonly key: string;
  readonly value: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  /** Key, value and headers: what the size limits count. */
  readonly sizeBytes: number;
}

export const SPEC_VERSION = '1.0';
export const JSON_CONTENT_TYPE = 'application/json';

/** CloudEvents attribute → Kafka header, for the attributes that are plain text. */
export const attributeHeaders = {
  id: 'ce_id',
  source: 'ce_source',
  type: 'ce_type',
  subject: 'ce_subject',
  time: 'ce_time',
  specVersion: 'ce_specversion',
  partitionKey: 'ce_partitionkey',
  correlationId: 'ce_correlationid',
  causationId: 'ce_causationid',
  contentType: 'content-type',
  traceparent: 'traceparent',
} as const;

export const reservedHeaders: ReadonlySet<string> = new Set(Object.values(attributeHeaders));

const REQUIRED = ['id', 'source', 'type', 'subject', 'key'] as const;

/** @throws MessageInvalidError when a required attribute is empty, a header is reserved, or the data is not JSON. */
export function encodeMessage(message: Message): EncodedMessage {
  for (const attribute of REQUIRED) requireText(attribute, message[attribute]);
  const value = Buffer.from(jsonOf(message), 'utf8');
  const headers = headersOf(message);
  return { key: message.key, value, headers, sizeBytes: sizeOf(message.key, value, headers) };
}

function requireText(attribute: string, text: string): void {
  if (text === '') throw new MessageInvalidError(`A message needs a ${attribute}`);
  // Postgres' text refuses it, and no tool shows it.
  if (text.includes('\0')) throw new MessageInvalidError(`A message's ${attribute} holds U+0000`);
}

function jsonOf(message: Message): string {
  const json = JSON.stringify(message.data) as string | undefined;
  if (json === undefined) {
    throw new MessageInvalidError(`The data of ${message.type} is not a JSON value`);
  }
  return json;
}

function headersOf(message: Message): Record<string, string> {
  for (const name of Object.keys(message.headers ?? {})) {
    if (reservedHeaders.has(name)) {
      throw new MessageInvalidError(`Header ${name} belongs to the envelope: set the attribute`);
    }
  }
  if (Number.isNaN(message.time.getTime())) {
    throw new MessageInvalidError(`The time of ${message.type} is not a date`);
  }
  return {
    ...message.headers,
    [attributeHeaders.id]: message.id,
    [attributeHeaders.source]: message.source,
    [attributeHeaders.type]: message.type,
    [attributeHeaders.subject]: message.subject,
    [attributeHeaders.time]: message.time.toISOString(),
    [attributeHeaders.specVersion]: SPEC_VERSION,
    [attributeHeaders.partitionKey]: message.key,
    [attributeHeaders.contentType]: JSON_CONTENT_TYPE,
    ...optional(attributeHeaders.correlationId, message.correlationId),
    ...optional(attributeHeaders.causationId, message.causationId),
    ...optional(attributeHeaders.traceparent, message.traceparent),
  };
}

function optional(name: string, value: string | undefined): Record<string, string> {
  return value === undefined ? {} : { [name]: value };
}

function sizeOf(key: string, value: Buffer, headers: Readonly<Record<string, string>>): number {
  let bytes = Buffer.byteLength(key) + value.length;
  for (const [name, text] of Object.entries(headers)) {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(text);
  }
  return bytes;
}
