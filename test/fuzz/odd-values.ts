/** What a value may be that nobody meant: JSON texts, header texts, keys. For fuzzers of messages and of HTTP alike. */
import fc from 'fast-check';

const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
const deepObject = (levels: number) => '{"a":'.repeat(levels) + '1' + '}'.repeat(levels);

/** Instants that are none, or that some store or timer can't hold. */
export const oddTimes = [
  ...[
    '0000-00-00T00:00:00Z',
    '0001-01-01T00:00:00Z',
    '9999-12-31T23:59:59Z',
    '2026-02-30T00:00:00Z',
  ],
  ...['+275760-09-13T00:00:00.000Z', '-000001-01-01T00:00:00Z', '2026-W01', '2026-366', 'infinity'],
  ...[
    '2026-01-01T00:00:00+99:99',
    '2026-01-01T24:00:00Z',
    '2026-06-30T23:59:60Z',
    '',
    'now',
    '1e20',
  ],
];

const oddTexts = [
  ...['', ' ', '\0', 'a\0b', '\u2028', '\ufeffx', '\ud800', 'é'.repeat(300), '../../etc/passwd'],
  ...["'; DROP TABLE api.runs; --", '${7*7}', '%00', '__proto__', 'constructor', 'null', 'NaN'],
  ...['x'.repeat(2_000), 'x'.repeat(20_000), 'run_x', 'run_00000000-0000-0000-0000-000000000000'],
];

/** One JSON value, as text: what JSON.stringify would never write is among them. */
export const oddJson: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    ...[
      'null',
      'true',
      '0',
      '-1',
      '-0',
      '1.5',
      '1e999',
      '-1e999',
      '9007199254740993',
      '2147483648',
    ],
    ...['99999999999999999999999', '1e-400', '[]', '{}', '[[]]', '[null]', '{"":0}'],
    ...['{"__proto__":{"admin":true}}', '{"constructor":{"prototype":{"x":1}}}', '{"toString":1}'],
    ...['{"toJSON":1}', '{"then":1}', '{"length":4294967295}', '{"a":1,"a":2}', '"\\u0000"'],
    ...['"\\ud800"', '"\\udc00\\ud800"', deep(70), deep(300), deepObject(300)],
  ),
  fc.constantFrom(...oddTexts, ...oddTimes).map((text) => JSON.stringify(text)),
  fc.json({ maxDepth: 4 }),
);

/** JSON that is far too deep or too long: few of them are enough. */
export const hugeJson: fc.Arbitrary<string> = fc.constantFrom(
  ...[deep(20_000), deepObject(10_000), deep(300_000)],
  ...[JSON.stringify('x'.repeat(300_000)), JSON.stringify('x'.repeat(1_000_000))],
  `[${Array(20_000).fill('{}').join(',')}]`,
);

/** Header and query text; some of it no HTTP client would send. */
export const oddText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    ...oddTexts,
    ...oddTimes,
    ...['-1', '0', '1e9', '999999999999999', '9'.repeat(40), '١'],
  ),
  fc.string({ unit: 'binary', maxLength: 30 }),
);

export const oddBytes: fc.Arbitrary<Buffer> = fc.oneof(
  oddText.map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom(Buffer.from([0xff, 0xfe]), Buffer.from('{"a":1}', 'utf16le')),
);

/** Where something stands in a JSON value: field names and indexes, outermost first. */
export type JsonPath = readonly string[];

export function pathsOf(value: unknown, path: JsonPath = []): JsonPath[] {
  if (typeof value !== 'object' || value === null) return [path];
  const inner = Object.entries(value).flatMap(([name, part]) => pathsOf(part, [...path, name]));
  return [path, ...inner];
}

export interface OddPlace {
  readonly path: JsonPath;
  /** JSON text; null: nothing stands there. */
  readonly odd: string | null;
}

/** The value as JSON text, but for what stands at some places. A field that is not there yet is added. */
export function withOddities(value: unknown, places: readonly OddPlace[]): string {
  const changed = { value: structuredClone(value) };
  places.forEach(({ path, odd }, index) => put(changed, ['value', ...path], odd && tokenOf(index)));
  const text = changed.value === undefined ? 'null' : JSON.stringify(changed.value);
  return text.replaceAll(/"odd\|(\d+)"/g, (_, index) => places[Number(index)]?.odd ?? 'null');
}

const tokenOf = (index: number) => `odd|${index}`;

function put(holder: unknown, [name = '', ...rest]: JsonPath, token: string | null): void {
  if (typeof holder !== 'object' || holder === null) return; // a change before this one took its place
  if (rest.length > 0) put(Reflect.get(holder, name), rest, token);
  else if (token === null) Reflect.deleteProperty(holder, name);
  // Not by assignment: a field may be called __proto__.
  else Object.defineProperty(holder, name, { ...written, value: token });
}

const written = { configurable: true, enumerable: true, writable: true } as const;
