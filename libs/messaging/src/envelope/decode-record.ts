/**
 * Reads one Kafka record into a message, or says why it is none. Pure and total: nothing that a stranger puts on a topic
 * makes it throw, because an exception here would end the consumer (kafkajs) or loop on one offset for ever.
 */
import { createHash } from 'node:crypto';
import {
  attributeHeaders,
  JSON_CONTENT_TYPE,
  reservedHeaders,
  SPEC_VERSION,
} from './encode-message.js';
import {
  MAX_MESSAGE_BYTES,
  type Decoded,
  type ReceivedMessage,
  type RecordPosition,
  type UndecodableCode,
} from './message.js';

type HeaderValue = Buffer | string | null;

/**
 * A record as the client library gives it. `topic` is already the logical name. Where a header is called like something that every
 * object has (`constructor`, `__proto__`), kafkajs gives a list that begins with that something.
 */
export interface RawRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: Readonly<Record<string, HeaderValue | HeaderValue[] | undefined>>;
}

export function decodeRecord(
  record: RawRecord,
  limits: { readonly maxMessageBytes: number } = { maxMessageBytes: MAX_MESSAGE_BYTES },
): Decoded {
  const headers = readHeaders(record.headers ?? {});
  const message = parse(record, headers, limits.maxMessageBytes);
  if (!isProblem(message)) return { kind: 'message', message };
  return {
    kind: 'undecodable',
    problem: { code: message.code, reason: message.reason },
    position: positionOf(record),
    key: readKey(record, headers),
    subject: textOf(headers, 'subject') ?? null,
    headers: Object.fromEntries(headers),
    sizeBytes: sizeOf(record),
    bodyHash: createHash('sha256')
      .update(record.value ?? '')
      .digest('hex'),
  };
}

interface Problem {
  readonly code: UndecodableCode;
  readonly reason: string;
}

const problem = (code: UndecodableCode, reason: string): Problem => ({ code, reason });
const isProblem = (parsed: object): parsed is Problem => 'reason' in parsed;

function parse(
  record: RawRecord,
  headers: ReadonlyMap<string, string>,
  maxMessageBytes: number,
): ReceivedMessage | Problem {
  const sizeBytes = sizeOf(record);
  if (sizeBytes > maxMessageBytes) {
    return problem('value_too_large', `${sizeBytes} bytes; the limit is ${maxMessageBytes}`);
  }
  const envelope = parseEnvelope(headers);
  if (isProblem(envelope)) return envelope;
  const key = readKey(record, headers);
  if (key === null || key === '') {
    return problem(
      'key_missing',
      `the record has neither a key nor ${attributeHeaders.partitionKey}`,
    );
  }
  if (record.value === null) return problem('value_missing', 'the record has no value');
  const data = parseJson(record.value);
  if (isProblem(data)) return data;
  if (isDeeperThan(MAX_JSON_DEPTH, data.value)) {
    return problem('json_too_deep', `the value is nested deeper than ${MAX_JSON_DEPTH} levels`);
  }
  return {
    ...envelope,
    key,
    headers: ownHeaders(headers),
    data: data.value,
    position: positionOf(record),
  };
}

type Envelope = Pick<
  ReceivedMessage,
  'id' | 'source' | 'type' | 'subject' | 'time' | 'correlationId' | 'causationId' | 'traceparent'
>;

function parseEnvelope(headers: ReadonlyMap<string, string>): Envelope | Problem {
  for (const attribute of ['specVersion', 'id', 'source', 'type', 'subject', 'time'] as const) {
    const name = attributeHeaders[attribute];
    const text = headers.get(name);
    if (text === undefined) return problem('header_missing', `header ${name} is missing`);
    if (text.trim() === '') return problem('header_invalid', `header ${name} is empty`);
  }
  if (textOf(headers, 'specVersion') !== SPEC_VERSION) {
    return problem(
      'specversion_unknown',
      `header ${attributeHeaders.specVersion} is not ${SPEC_VERSION}`,
    );
  }
  const contentType = textOf(headers, 'contentType');
  if (contentType !== undefined && !isJson(contentType)) {
    return problem('content_type_unknown', `header ${attributeHeaders.contentType} is not JSON`);
  }
  const time = new Date(RFC_3339.test(text('time')) ? text('time') : NaN);
  if (Number.isNaN(time.getTime())) {
    return problem('header_invalid', `header ${attributeHeaders.time} is not an RFC 3339 time`);
  }
  return {
    id: text('id'),
    source: text('source'),
    type: text('type'),
    subject: text('subject'),
    time,
    ...present('correlationId'),
    ...present('causationId'),
    ...present('traceparent'),
  };

  function text(attribute: keyof typeof attributeHeaders): string {
    return textOf(headers, attribute) ?? '';
  }
  function present<Name extends 'correlationId' | 'causationId' | 'traceparent'>(name: Name) {
    const value = textOf(headers, name);
    return value === undefined ? {} : { [name]: value };
  }
}

const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

function isJson(contentType: string): boolean {
  const mediaType = contentType.split(';')[0]?.trim().toLowerCase() ?? '';
  return mediaType === JSON_CONTENT_TYPE || /^application\/[\w.-]+\+json$/.test(mediaType);
}

/** The engine's own error text quotes the value, so it is not passed on. */
function parseJson(value: Buffer): { readonly value: unknown } | Problem {
  try {
    return { value: JSON.parse(strictUtf8.decode(value)) as unknown };
  } catch (error) {
    return error instanceof SyntaxError
      ? problem('json_invalid', 'the value is not valid JSON')
      : problem('json_invalid', 'the value is not UTF-8 text');
  }
}

/** Deeper than any message of ours; what walks a message may recurse. */
const MAX_JSON_DEPTH = 128;

/** Walks level by level: no recursion, since the depth is what is asked. */
function isDeeperThan(levels: number, value: unknown): boolean {
  let level = [value].filter(isObject);
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth === levels) return true;
    level = level.flatMap((each) => Object.values(each).filter(isObject));
  }
  return false;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** Repeated headers: the last one counts, as for HTTP maps in most brokers' tools. */
function readHeaders(raw: NonNullable<RawRecord['headers']>): Map<string, string> {
  const headers = new Map<string, string>();
  for (const [name, value] of Object.entries(raw)) {
    const last = (Array.isArray(value) ? value : [value]).at(-1);
    if (isSent(last)) headers.set(name, last.toString('utf8'));
  }
  return headers;
}

function textOf(
  headers: ReadonlyMap<string, string>,
  attribute: keyof typeof attributeHeaders,
): string | undefined {
  return headers.get(attributeHeaders[attribute]);
}

function ownHeaders(headers: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => !reservedHeaders.has(name)));
}

function readKey(record: RawRecord, headers: ReadonlyMap<string, string>): string | null {
  return record.key?.toString('utf8') ?? textOf(headers, 'partitionKey') ?? null;
}

function positionOf(record: RawRecord): RecordPosition {
  const { topic, partition, offset } = record;
  return { topic, partition, offset, timestamp: Number(record.timestamp) };
}

function sizeOf(record: RawRecord): number {
  let bytes = (record.key?.length ?? 0) + (record.value?.length ?? 0);
  for (const [name, value] of Object.entries(record.headers ?? {})) {
    for (const each of Array.isArray(value) ? value : [value]) {
      bytes += Buffer.byteLength(name) + (isSent(each) ? Buffer.byteLength(each) : 0);
    }
  }
  return bytes;
}

function isSent(value: unknown): value is Buffer | string {
  return typeof value === 'string' || Buffer.isBuffer(value);
}
