import fc from 'fast-check';
import { decodeRecord, type RawRecord } from './decode-record.js';
import { encodeMessage } from './encode-message.js';
import { MessageInvalidError, type Message } from './message.js';

const text = fc
  .string({ unit: 'binary', minLength: 1 })
  .filter((each) => !each.includes('\0') && each.trim() !== '');
const messages: fc.Arbitrary<Message> = fc.record(
  {
    id: fc.uuid({ version: 7 }),
    source: text,
    type: text,
    subject: text,
    time: fc.date({
      min: new Date('2000-01-01'),
      max: new Date('2100-01-01'),
      noInvalidDate: true,
    }),
    key: text,
    correlationId: fc.uuid(),
    causationId: fc.uuid(),
    traceparent: fc.constant('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'),
    headers: fc.dictionary(fc.stringMatching(/^x-[a-z]{1,10}$/), fc.string({ unit: 'binary' })),
    data: fc.jsonValue(),
  },
  { requiredKeys: ['id', 'source', 'type', 'subject', 'time', 'key', 'data'] },
);

const position = { topic: 'spec.v1', partition: 2, offset: '7', timestamp: '1700000000000' };

function record(message: Message, changes: Partial<RawRecord> = {}): RawRecord {
  const { key, value, headers } = encodeMessage(message);
  const bytes = Object.entries(headers).map(
    ([name, header]) => [name, Buffer.from(header)] as const,
  );
  return {
    ...position,
    key: Buffer.from(key),
    value,
    headers: Object.fromEntries(bytes),
    ...changes,
  };
}

const message: Message = {
  id: '018f0000-0000-7000-8000-000000000001',
  source: '/spec',
  type: 'dev.holdfast.run.completed.v1',
  subject: 'run_1',
  time: new Date('2026-01-02T03:04:05.678Z'),
  key: 'run_1',
  data: { status: 'completed' },
};

function problemOf(changes: Partial<RawRecord>) {
  const decoded = decodeRecord(record(message, changes));
  return decoded.kind === 'undecodable' ? decoded.problem.code : decoded.kind;
}

function withHeader(name: string, value: string | undefined) {
  const { headers } = record(message);
  return { headers: { ...headers, [name]: value === undefined ? undefined : Buffer.from(value) } };
}

describe('the envelope', () => {
  it('brings any message through the wire as it was', () => {
    fc.assert(
      fc.property(messages, (sent) => {
        const decoded = decodeRecord(record(sent));
        expect(decoded).toEqual({
          kind: 'message',
          message: {
            ...sent,
            headers: { ...sent.headers },
            data: JSON.parse(JSON.stringify(sent.data)) as unknown,
            position: { ...position, timestamp: 1_700_000_000_000 },
          },
        });
      }),
    );
  });

  it('writes CloudEvents attributes in binary mode', () => {
    expect(encodeMessage(message)).toMatchObject({
      key: 'run_1',
      headers: {
        ce_id: '018f0000-0000-7000-8000-000000000001',
        ce_source: '/spec',
        ce_type: 'dev.holdfast.run.completed.v1',
        ce_subject: 'run_1',
        ce_time: '2026-01-02T03:04:05.678Z',
        ce_specversion: '1.0',
        ce_partitionkey: 'run_1',
        'content-type': 'application/json',
      },
    });
  });

  it.each([
    ['an empty id', { id: '' }],
    ['an empty key', { key: '' }],
    ['a key with U+0000', { key: 'a\0b' }],
    ['data that is not JSON', { data: undefined }],
    ['a reserved header', { headers: { ce_type: 'other' } }],
    ['a time that is none', { time: new Date(NaN) }],
  ])('refuses to send %s', (_, changes) => {
    expect(() => encodeMessage({ ...message, ...changes })).toThrow(MessageInvalidError);
  });
});

describe('a record that is no message', () => {
  it.each([
    ['value_missing', { value: null }],
    ['json_invalid', { value: Buffer.from('{"half":') }],
    ['json_invalid', { value: Buffer.from([0x22, 0xff, 0x22]) }],
    ['json_invalid', { value: Buffer.alloc(0) }],
    ['value_too_large', { value: Buffer.alloc(1_000_000, 0x31) }],
    ['header_missing', { headers: {} }],
    ['header_missing', withHeader('ce_id', undefined)],
    ['header_missing', withHeader('ce_specversion', undefined)],
    ['header_invalid', withHeader('ce_subject', ' ')],
    ['header_invalid', withHeader('ce_time', 'yesterday')],
    ['header_invalid', withHeader('ce_time', '2026-13-45T00:00:00Z')],
    ['specversion_unknown', withHeader('ce_specversion', '2.0')],
    ['content_type_unknown', withHeader('content-type', 'application/avro')],
    ['key_missing', { key: null, ...withHeader('ce_partitionkey', undefined) }],
  ])('is undecodable: %s', (code, changes) => {
    expect(problemOf(changes)).toBe(code);
  });

  it.each([
    ['no content type', withHeader('content-type', undefined)],
    ['a charset', withHeader('content-type', 'application/json; charset=utf-8')],
    ['a JSON dialect', withHeader('content-type', 'application/cloudevents+json')],
    ['no key but a partition key', { key: null }],
    ['a time with an offset', withHeader('ce_time', '2026-01-02T03:04:05+02:00')],
  ])('is not one with %s', (_, changes) => {
    expect(problemOf(changes)).toBe('message');
  });

  it('keeps what a dead letter needs, and nothing of the body', () => {
    const secret = 'secret';
    const decoded = decodeRecord(record(message, { value: Buffer.from(`{"text": ${secret}}`) }));
    expect(decoded).toMatchObject({
      kind: 'undecodable',
      key: 'run_1',
      subject: 'run_1',
      position: { topic: 'spec.v1', partition: 2, offset: '7' },
      headers: { ce_type: message.type },
      bodyHash: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    expect(JSON.stringify(decoded)).not.toContain(secret);
  });

  it('never makes the decoder throw', () => {
    const bytes = fc.uint8Array({ maxLength: 40 }).map((each) => Buffer.from(each));
    const header = fc.oneof(
      bytes,
      fc.string(),
      fc.constant(null),
      fc.constant(undefined),
      fc.array(bytes, { maxLength: 3 }),
    );
    const name = fc.oneof(
      fc.string(),
      fc.constantFrom('ce_id', 'ce_time', 'ce_specversion', 'content-type', '__proto__'),
    );
    const records = fc.record({
      key: fc.option(bytes),
      value: fc.option(bytes),
      timestamp: fc.string(),
      headers: fc.dictionary(name, header),
    });
    fc.assert(
      fc.property(records, (raw) => {
        expect(decodeRecord({ ...position, ...raw }).kind).toBe('undecodable');
      }),
    );
  });
});

describe('a record that nobody meant', () => {
  /** As kafkajs gives them: it looks for an earlier header of the name, and finds what every object has. */
  it.each(['constructor', 'toString', '__proto__'])('with a header called %s is read', (name) => {
    const inherited: unknown = Reflect.get({}, name);
    const given = [inherited, Buffer.from('x')] as unknown as Buffer[];
    const headers = { ...record(message).headers, [name]: given };
    expect(decodeRecord(record(message, { headers }))).toMatchObject({
      kind: 'message',
      message: { id: message.id },
    });
  });

  it('and is nested without end is undecodable, for whoever walks it would fall', () => {
    const nested = (levels: number) => Buffer.from('['.repeat(levels) + ']'.repeat(levels));
    expect(problemOf({ value: nested(128) })).toBe('message');
    expect(problemOf({ value: nested(129) })).toBe('json_too_deep');
    expect(problemOf({ value: nested(400_000) })).toBe('json_too_deep');
  });

  it('never makes the reader throw', () => {
    const bytes = fc.uint8Array().map((each) => Buffer.from(each));
    const value = fc.oneof(bytes, fc.constant(null), fc.constant(undefined), fc.array(bytes));
    const name = fc.oneof(fc.string(), fc.constantFrom('ce_id', '__proto__', 'valueOf', 'ce_time'));
    const strange = fc.record({
      key: fc.option(bytes),
      value: fc.option(
        fc.oneof(
          bytes,
          fc.json().map((json) => Buffer.from(json)),
        ),
      ),
      headers: fc.dictionary(name, value),
    });
    fc.assert(
      fc.property(strange, (changes) => {
        const headers = { ...record(message).headers, ...changes.headers };
        expect(decodeRecord(record(message, { ...changes, headers })).kind).toMatch(
          /^(message|un)/,
        );
      }),
    );
  });
});
