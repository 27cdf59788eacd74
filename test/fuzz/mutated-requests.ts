/**
 * Requests of every kind to every route, most of them wrong somewhere: method, path, query, headers, body. Those that are no HTTP
 * any more say so: a server may hang up on them.
 */
import fc from 'fast-check';
import { hugeJson, oddBytes, oddJson, oddText, pathsOf, withOddities } from './odd-values.js';

export interface FuzzRequest {
  readonly bytes: Buffer;
  readonly method: string;
  /** It is HTTP, whatever it asks for. */
  readonly isHttp: boolean;
}

export interface Route {
  readonly method: string;
  /** With `{id}`. */
  readonly path: string;
}

/** What there is to ask about. */
export interface Known {
  readonly host: string;
  readonly routes: readonly Route[];
  readonly runIds: readonly string[];
  readonly documentIds: readonly string[];
}

interface Draft {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

const BOUNDARY = 'fuzz';
const crlf = '\r\n';

export function mutatedRequests(known: Known): fc.Arbitrary<FuzzRequest> {
  return fc
    .tuple(drafts(known), fc.array(anyMutation, { maxLength: 3 }), fc.option(anyBreakage))
    .map(([draft, mutations, breakage]) => {
      const changed = mutations.reduce((before, change) => change(before), draft);
      const bytes = written(known.host, changed);
      const { method } = changed;
      if (breakage) return { bytes: breakage(bytes), method, isHttp: false };
      return { bytes, method, isHttp: isHttp(changed) };
    });
}

function drafts({ routes, runIds, documentIds }: Known): fc.Arbitrary<Draft> {
  const anyId = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...runIds) },
    fc.uuid({ version: 7 }).map((uuid) => `run_${uuid}`),
    fc.constantFrom('run_x', '42', '%00', '%2e%2e', '%zz', 'run_%F0%9F', '*', 'x'.repeat(300)),
  );
  return fc
    .tuple(fc.constantFrom(...routes), anyId, anyQuery(runIds), fc.uuid(), bodies(documentIds))
    .map(([{ method, path }, id, query, key, body]): Draft => {
      const isUpload = path.endsWith('/documents');
      const type = isUpload ? `multipart/form-data; boundary=${BOUNDARY}` : 'application/json';
      const headers = [['content-type', type] as const, ['idempotency-key', key] as const];
      const isWriting = method === 'POST';
      return {
        method,
        target: path.replace('{id}', id) + query,
        headers: isWriting ? headers : [],
        body: isWriting ? (isUpload ? upload(body) : body) : Buffer.alloc(0),
      };
    });
}

function anyQuery(runIds: readonly string[]): fc.Arbitrary<string> {
  const name = fc.constantFrom(
    ...['status', 'workflow', 'reference', 'idempotencyKey', 'limit', 'cursor', 'runs', 'runs'],
    ...['__proto__', 'status[]', 'constructor', ''],
  );
  const value = fc.oneof(
    fc.constantFrom('queued', 'completed', 'answer', '1', '200', '0', '-1', '1e3', ...runIds),
    fc.constantFrom(runIds.join(','), Array(200).fill(runIds[0]).join(','), ',', '%', '%00', '%ff'),
    oddText.map((text) => encodeURIComponent(text.toWellFormed())),
  );
  const pairs = fc.array(fc.tuple(name, value), { maxLength: 3 });
  return pairs.map((all) => {
    return all.length === 0 ? '' : `?${all.map(([left, right]) => `${left}=${right}`).join('&')}`;
  });
}

function bodies(documentIds: readonly string[]): fc.Arbitrary<Buffer> {
  const run = {
    ...{ workflow: 'answer', input: { question: 'Why?' }, reference: 'x', priority: 'batch' },
    ...{ labels: { team: 'a' }, deadline: 'PT2H', documents: [] },
  };
  const tender = { workflow: 'tender-compliance', input: {}, documents: documentIds };
  const templates = [run, tender, { reason: 'by hand' }, { result: { answer: '42' }, reason: 'x' }];
  return fc
    .tuple(
      fc.constantFrom<object>(...templates),
      fc.array(fc.tuple(fc.nat(), fc.option(oddJson)), { maxLength: 3 }),
    )
    .map(([template, oddities]) => {
      const paths = pathsOf(template);
      const places = oddities.map(([index, odd]) => ({
        path: paths[index % paths.length] ?? [],
        odd,
      }));
      return Buffer.from(withOddities(template, places));
    });
}

function upload(content: Buffer): Buffer {
  const part = `--${BOUNDARY}${crlf}Content-Disposition: form-data; name="file"; filename="a.md"${crlf}${crlf}`;
  return Buffer.concat([Buffer.from(part), content, Buffer.from(`${crlf}--${BOUNDARY}--${crlf}`)]);
}

type Mutation = (draft: Draft) => Draft;

const set = (name: string, value: string): Mutation => {
  return (draft) => ({
    ...draft,
    headers: [...draft.headers.filter(([other]) => other !== name), [name, value]],
  });
};
const again = (name: string, value: string): Mutation => {
  return (draft) => ({ ...draft, headers: [...draft.headers, [name, value]] });
};
const withBody = (body: Buffer): Mutation => {
  return (draft) => ({ ...draft, body });
};

const anyMethod = fc.constantFrom(
  ...[
    'GET',
    'HEAD',
    'POST',
    'PUT',
    'PATCH',
    'DELETE',
    'OPTIONS',
    'TRACE',
    'PROPFIND',
    'PURGE',
    'QUERY',
  ],
);
const anyHeader = fc.constantFrom(
  ...[
    'idempotency-key',
    'last-event-id',
    'prefer',
    'if-none-match',
    'accept',
    'content-type',
    'origin',
  ],
  ...[
    'accept-encoding',
    'traceparent',
    'tracestate',
    'content-encoding',
    'x-forwarded-for',
    'cookie',
  ],
  ...['range', 'if-match', 'authorization', 'x-http-method-override', 'te', 'upgrade', 'expect'],
  ...['__proto__', 'constructor'],
);
/** No wait that is meant: it would be kept. */
const headerValues = fc.oneof(
  fc.constantFrom(
    ...[
      'wait=abc',
      'wait=',
      'wait=0',
      '"',
      'wait="',
      'respond-async; wait=-1',
      'wait=1',
      'W/"x"',
      '*',
    ],
    ...[
      'text/event-stream',
      'text/csv',
      'application/json;q=0',
      'image/png',
      '*/*;q=0',
      'gzip',
      'bytes=0-1',
    ],
    ...[
      'application/json; charset=utf-16',
      'application/jsonx',
      'multipart/form-data',
      'text/plain',
      '1:1',
    ],
    ...[
      'multipart/form-data; boundary=',
      `multipart/form-data; boundary=${'b'.repeat(300)}`,
      '0',
      '-1',
    ],
    ...[
      '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      `00-${'0'.repeat(32)}-x`,
      '100-continue',
    ],
    ...[
      'application/x-www-form-urlencoded',
      'application/json, text/html;q=0.9',
      'eyJhIjoxfQ==',
      'h2c',
    ],
  ),
  oddText,
);
const hugeText = fc.constantFrom('h'.repeat(10_000), 'h'.repeat(100_000), 'a,'.repeat(4_000));
const oddPart = fc.constantFrom(
  ...[`--${BOUNDARY}--${crlf}`, `--${BOUNDARY}${crlf}${crlf}`, `--${BOUNDARY}${crlf}x`, ''],
  `--${BOUNDARY}${crlf}Content-Disposition: form-data; name="file"; filename="\0"${crlf}${crlf}x${crlf}--${BOUNDARY}--`,
  `--${BOUNDARY}${crlf}Content-Disposition: form-data; name="__proto__"${crlf}${crlf}x${crlf}--${BOUNDARY}--`,
  `--${BOUNDARY}${crlf}Content-Disposition: form-data; name="file"; filename*=utf-8''%ff${crlf}Content-Type: x${crlf}${crlf}x${crlf}--${BOUNDARY}--`,
  `--${BOUNDARY}${crlf}Content-Disposition: attachment${crlf}Content-Transfer-Encoding: base64${crlf}${crlf}%%%${crlf}--${BOUNDARY}--`,
);

const anyMutation: fc.Arbitrary<Mutation> = fc.oneof(
  { weight: 60, arbitrary: fc.tuple(anyHeader, headerValues).map((args) => set(...args)) },
  { weight: 20, arbitrary: fc.tuple(anyHeader, headerValues).map((args) => again(...args)) },
  { weight: 20, arbitrary: anyMethod.map((method): Mutation => (draft) => ({ ...draft, method })) },
  {
    weight: 20,
    arbitrary: fc
      .oneof(
        oddBytes,
        oddJson.map((json) => Buffer.from(json)),
      )
      .map(withBody),
  },
  { weight: 10, arbitrary: oddPart.map((part) => withBody(Buffer.from(part))) },
  {
    weight: 10,
    arbitrary: oddText.map((text): Mutation => (draft) => ({
      ...draft,
      target: draft.target + encodeURI(text.toWellFormed()),
    })),
  },
  {
    weight: 3,
    arbitrary: hugeText.map((text): Mutation => (draft) => ({
      ...draft,
      target: draft.target + text,
    })),
  },
  { weight: 3, arbitrary: fc.tuple(anyHeader, hugeText).map((args) => set(...args)) },
  { weight: 1, arbitrary: hugeJson.map((json) => withBody(Buffer.from(json))) },
);

/** Of what stands on the wire. */
const anyBreakage = fc
  .tuple(
    fc.nat(),
    fc.oneof(
      oddBytes,
      fc.constantFrom('\r\n\r\n', '\0', ' ', 'GET / HTTP/9.9\r\n').map((text) => Buffer.from(text)),
    ),
    fc.nat({ max: 3 }),
  )
  .map(([where, odd, how]) => (bytes: Buffer): Buffer => {
    const at = where % bytes.length;
    if (how === 0) return bytes.subarray(0, at);
    const rest = bytes.subarray(how === 1 ? at : Math.min(bytes.length, at + odd.length));
    return Buffer.concat([bytes.subarray(0, at), odd, rest]);
  });

function written(host: string, { method, target, headers, body }: Draft): Buffer {
  const lines = [
    `${method} ${target} HTTP/1.1`,
    `host: ${host}`,
    'connection: close',
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(body.length > 0 || method === 'POST' ? [`content-length: ${body.length}`] : []),
  ];
  return Buffer.concat([Buffer.from(lines.join(crlf) + crlf + crlf), body]);
}

/** RFC 9112: no control characters in header values, no space in a target. */
function isHttp({ headers, target }: Draft): boolean {
  const isTarget = /^\/[\x21-\x7e]*$/.test(target);
  // eslint-disable-next-line no-control-regex
  return isTarget && headers.every(([, value]) => !/[\0-\x08\x0a-\x1f\x7f]/.test(value));
}
