/** Real: api, Postgres, Kafka. Stands in: nothing. Whatever is refused leaves every table as it was. */
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import type { Response } from 'supertest';
import { problemKinds, type ProblemBody, type ProblemCode } from '#libs/contracts';
import { sendRaw } from '../../fuzz/raw-http.js';
import { startTestApi, type TestApi } from './api-fixture.js';

let api: TestApi;
let markdownId: string;
let jsonId: string;

beforeAll(async () => {
  api = await startTestApi({ API_MAX_BODY_BYTES: '4096', API_MAX_DOCUMENT_BYTES: '2048' });
  const upload = async (filename: string) => {
    const answer = await api
      .http()
      .post('/v1/documents')
      .attach('file', Buffer.from('{}'), filename);
    return (answer.body as { id: string }).id;
  };
  jsonId = await upload('data.json');
  const answer = await api.http().post('/v1/documents').attach('file', Buffer.from('# T'), 't.md');
  markdownId = (answer.body as { id: string }).id;
});
afterAll(() => api?.stop());

const question = { workflow: 'answer', input: { question: 'Why?' } };

const post = (body: string | object, key: string = randomUUID()) =>
  api
    .http()
    .post('/v1/runs')
    .set('Idempotency-Key', key)
    .set('Content-Type', 'application/json')
    .send(body as object);

/** Everything that a request could have left behind. */
async function stored() {
  const tables = ['api.runs', 'content.contents', 'content.bodies', 'content.chunks'];
  const counts = tables.map((table) => `(SELECT count(*) FROM ${table}) AS "${table}"`);
  const { rows } = await api.database.query(
    `SELECT ${counts.join(', ')}, (SELECT last_value FROM api.outbox_order) AS "api.outbox"`,
  );
  return rows[0];
}

interface Expected {
  readonly code: ProblemCode;
  readonly pointers?: readonly string[];
  readonly header?: string;
}

/** A problem of the catalogue, naming the place and the mend, with nothing of our insides. */
function expectProblem(answer: Response, { code, pointers, header }: Expected): void {
  const problem = answer.body as ProblemBody;
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(problem).toMatchObject({
    code,
    status: problemKinds[code].status,
    title: problemKinds[code].title,
    type: `urn:holdfast:problem:${code}`,
    retryable: problemKinds[code].retryable,
  });
  expect(answer.status).toBe(problem.status);
  expect(problem.traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(problem.detail).not.toBe('');
  expect(answer.text).not.toMatch(/node_modules|\.[jt]s:\d|\n +at /);
  for (const field of problem.errors) {
    expect(field.message).not.toBe('');
    expect(field.mend).not.toBe('');
  }
  if (pointers)
    expect(problem.errors.map((each) => each.pointer).sort()).toEqual([...pointers].sort());
  if (header) expect(problem.errors.map((each) => each.header)).toEqual([header]);
}

describe('a bad submit stores nothing and names the field:', () => {
  const bad: [name: string, send: () => PromiseLike<Response>, expected: Expected][] = [
    [
      'no key',
      () => api.http().post('/v1/runs').send(question),
      { code: 'idempotency_key_missing', header: 'Idempotency-Key' },
    ],
    [
      'a key with a space',
      () => post(question, 'a b'),
      { code: 'idempotency_key_invalid', header: 'Idempotency-Key' },
    ],
    ['an endless key', () => post(question, 'k'.repeat(256)), { code: 'idempotency_key_invalid' }],
    [
      'malformed JSON',
      () => post('{"workflow": "answer",'),
      { code: 'malformed_json', pointers: [''] },
    ],
    ['an empty body', () => post(''), { code: 'malformed_json', pointers: [''] }],
    [
      'no body at all',
      () => api.http().post('/v1/runs').set('Idempotency-Key', 'k1'),
      { code: 'unsupported_media_type', header: 'Content-Type' },
    ],
    ['a list', () => post([]), { code: 'invalid_body', pointers: [''] }],
    ['null', () => post('null'), { code: 'invalid_body', pointers: [''] }],
    ['nothing in it', () => post({}), { code: 'invalid_body', pointers: ['/workflow', '/input'] }],
    [
      'an unknown field',
      () => post({ ...question, colour: 'red' }),
      { code: 'invalid_body', pointers: ['/colour'] },
    ],
    [
      'a budget of nothing',
      () => post({ ...question, budget: { maxCostUsd: '0' } }),
      { code: 'invalid_body', pointers: ['/budget/maxCostUsd'] },
    ],
    [
      'wrong types',
      () => post({ workflow: 7, input: 'x', labels: { a: 1 } }),
      { code: 'invalid_body', pointers: ['/workflow', '/input', '/labels/a'] },
    ],
    [
      'an unknown workflow',
      () => post({ ...question, workflow: 'nope' }),
      { code: 'unknown_workflow', pointers: ['/workflow'] },
    ],
    [
      'a workflow called like what objects have',
      () => post({ ...question, workflow: '__proto__' }),
      { code: 'unknown_workflow', pointers: ['/workflow'] },
    ],
    [
      'an input without its field',
      () => post({ workflow: 'answer', input: {} }),
      { code: 'invalid_input', pointers: ['/input/question'] },
    ],
    [
      'an input with a field too many',
      () => post({ workflow: 'answer', input: { question: 'x', more: 1 } }),
      { code: 'invalid_input', pointers: ['/input/more'] },
    ],
    [
      'a document that is none',
      () => post({ ...question, documents: ['doc_1'] }),
      { code: 'invalid_body', pointers: ['/documents/0'] },
    ],
    [
      'a document too few',
      () => post({ workflow: 'tender-compliance', input: {} }),
      { code: 'invalid_documents', pointers: ['/documents'] },
    ],
    [
      'a document nobody uploaded',
      () =>
        post({ workflow: 'tender-compliance', input: {}, documents: [`doc_${'a'.repeat(43)}`] }),
      { code: 'invalid_documents', pointers: ['/documents/0'] },
    ],
    [
      'a document of a type that the workflow does not take',
      () => post({ workflow: 'tender-compliance', input: {}, documents: [jsonId] }),
      { code: 'invalid_documents', pointers: ['/documents/0'] },
    ],
    [
      'a document where none is taken',
      () => post({ ...question, documents: [markdownId] }),
      { code: 'invalid_documents', pointers: ['/documents', '/documents/0'] },
    ],
    [
      'half a surrogate pair',
      () => post('{"workflow":"answer","input":{"question":"\\ud800"}}'),
      { code: 'invalid_body', pointers: ['/input/question'] },
    ],
    [
      'a number beyond a double',
      () => post('{"workflow":"answer","input":{"question":1e999}}'),
      { code: 'invalid_body', pointers: ['/input/question'] },
    ],
    [
      'a prototype',
      () => post('{"workflow":"answer","input":{"__proto__":{}}}'),
      { code: 'invalid_body', pointers: ['/input'] },
    ],
    [
      'endless nesting',
      () => post(`{"workflow":"answer","input":{"question":${'['.repeat(900)}${']'.repeat(900)}}}`),
      { code: 'invalid_body' },
    ],
    [
      'a body too large',
      () => post({ ...question, input: { question: 'x'.repeat(5_000) } }),
      { code: 'body_too_large' },
    ],
    [
      'text',
      () =>
        api
          .http()
          .post('/v1/runs')
          .set('Idempotency-Key', 'k2')
          .set('Content-Type', 'text/plain')
          .send('x'),
      { code: 'unsupported_media_type', header: 'Content-Type' },
    ],
    [
      'a form',
      () =>
        api
          .http()
          .post('/v1/runs')
          .set('Idempotency-Key', 'k3')
          .attach('file', Buffer.from('x'), 'x.md'),
      { code: 'unsupported_media_type', header: 'Content-Type' },
    ],
  ];
  it.each(bad)('%s', async (_name, send, expected) => {
    const before = await stored();
    expectProblem(await send(), expected);
    expect(await stored()).toEqual(before);
  });

  it('bytes that are not UTF-8', async () => {
    const body = Buffer.from('{"workflow":"answer","input":{"question":"\xff"}}', 'latin1');
    const answer = await fetch(`${api.url}/v1/runs`, {
      method: 'POST',
      headers: { 'Idempotency-Key': randomUUID(), 'Content-Type': 'application/json' },
      body,
    });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ code: 'malformed_json' });
  });

  it('the key stays free for a good body', async () => {
    const key = randomUUID();
    await post({ ...question, colour: 'red' }, key);
    await post(question, key).expect(202);
  });
});

describe('a bad upload stores nothing and says why:', () => {
  const upload = () => api.http().post('/v1/documents');
  const bad: [name: string, send: () => PromiseLike<Response>, expected: Expected][] = [
    [
      'an empty document',
      () => upload().attach('file', Buffer.alloc(0), 'e.md'),
      { code: 'empty_document', pointers: ['/file'] },
    ],
    [
      'a document a little too large',
      () => upload().attach('file', Buffer.alloc(2_049, 'x'), 'l.md'),
      { code: 'document_too_large', pointers: ['/file'] },
    ],
    [
      'a document far too large',
      () => upload().attach('file', Buffer.alloc(500_000, 'x'), 'l.md'),
      { code: 'document_too_large' },
    ],
    [
      'text that is not UTF-8',
      () => upload().attach('file', Buffer.from([0x23, 0xff, 0xfe]), 'b.md'),
      { code: 'document_not_text', pointers: ['/file'] },
    ],
    ['no file', () => upload().field('name', 'x'), { code: 'invalid_upload', pointers: ['/file'] }],
    [
      'JSON instead of a form',
      () => upload().send({}),
      { code: 'unsupported_media_type', header: 'Content-Type' },
    ],
    [
      'raw bytes',
      () => upload().set('Content-Type', 'application/pdf').send('x'),
      { code: 'unsupported_media_type', header: 'Content-Type' },
    ],
    [
      'a form without its boundary',
      () => upload().set('Content-Type', 'multipart/form-data').send('x'),
      { code: 'invalid_upload' },
    ],
  ];
  it.each(bad)('%s', async (_name, send, expected) => {
    const before = await stored();
    expectProblem(await send(), expected);
    expect(await stored()).toEqual(before);
  });

  it('two files', async () => {
    const before = await stored();
    const answer = await upload()
      .attach('a', Buffer.from('# A'), 'a.md')
      .attach('b', Buffer.from('# B'), 'b.md');
    expectProblem(answer, { code: 'invalid_upload', pointers: ['/file'] });
    expect(await stored()).toEqual(before);
  });

  it('a document far too large whose length nobody told', async () => {
    const before = await stored();
    const frame = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.md"\r\n\r\n';
    async function* body() {
      yield Buffer.from(frame);
      for (let n = 0; n < 100; n++) yield Buffer.alloc(16_384, 'x');
      yield Buffer.from('\r\n--b--\r\n');
    }
    const answer = await fetch(`${api.url}/v1/documents`, {
      method: 'POST',
      headers: { 'Content-Type': 'multipart/form-data; boundary=b' },
      body: ReadableStream.from(body()),
      duplex: 'half',
    });
    expect(answer.status).toBe(413);
    expect(await answer.json()).toMatchObject({ code: 'document_too_large' });
    expect(await stored()).toEqual(before);
  });

  it('a form without its end', async () => {
    const before = await stored();
    const answer = await upload()
      .set('Content-Type', 'multipart/form-data; boundary=b')
      .send('--b\r\nContent-Disposition: form-data; name="file"; filename="a.md"\r\n\r\n# half');
    expectProblem(answer, { code: 'invalid_upload', header: 'Content-Type' });
    expect(await stored()).toEqual(before);
  });

  it('a connection that breaks off', async () => {
    const before = await stored();
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    socket.write(
      'POST /v1/documents HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 900\r\n\r\n' +
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a.md"\r\n\r\n# half of it',
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await stored()).toEqual(before);
  });
});

describe('a bad address', () => {
  it.each([
    ['GET', '/v1/nothing', 'route_not_found'],
    ['GET', `/v1/runs/${'x'.repeat(300)}`, 'uri_too_long'],
    ['GET', '/v1/runs/42', 'invalid_run_id'],
    ['GET', '/v1/runs/run_0190FFFF-0000-7000-8000-000000000000', 'invalid_run_id'],
    ['GET', '/v1/runs/run_01900000-0000-7000-8000-000000000000', 'run_not_found'],
    ['GET', '/v1/runs/run_01900000-0000-7000-8000-000000000000/result', 'run_not_found'],
    ['GET', '/v1/runs/run_01900000-0000-7000-8000-000000000000/events', 'run_not_found'],
    ['GET', '/v1/runs/%zz', 'malformed_request'],
    ['GET', '/v1/runs?status=sleeping', 'invalid_query'],
    ['GET', '/v1/runs?colour=red', 'invalid_query'],
    ['GET', '/v1/runs?limit=0', 'invalid_query'],
    ['GET', '/v1/runs?limit=201', 'invalid_query'],
    ['GET', '/v1/runs?cursor=abc', 'invalid_query'],
    ['GET', '/v1/runs?workflow=a&workflow=b', 'invalid_query'],
    ['GET', '/v1/runs?idempotencyKey=%00', 'invalid_query'],
  ] as const)('%s %s is %s', async (_method, path, code) => {
    expectProblem(await api.http().get(path), { code });
  });

  it('with the wrong method is told which ones it takes', async () => {
    const answer = await api.http().delete('/v1/runs');
    expectProblem(answer, { code: 'method_not_allowed' });
    expect(answer.headers['allow']).toBe('GET, HEAD, POST');
    expectProblem(await api.http().patch('/v1/runs/run_x'), { code: 'method_not_allowed' });
  });

  it('keeps the trace id of the caller', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const answer = await api
      .http()
      .get('/v1/nothing')
      .set('traceparent', `00-${traceId}-b7ad6b7169203331-01`);
    expect(answer.body).toMatchObject({ traceId });
  });
});

describe('what Node itself would refuse is a problem too:', () => {
  const whole = (text: string) => ({ bytes: Buffer.from(text), isWhole: true });
  it.each([
    ['no HTTP at all', 'BREW /coffee HTCPCP/1.0\r\n\r\n', 400, 'malformed_request'],
    [
      'a header name with a space',
      'GET /livez HTTP/1.1\r\nHost: x\r\na b: c\r\n\r\n',
      400,
      'malformed_request',
    ],
    ['no host', 'GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'malformed_request'],
    [
      'headers of 20 KB',
      `GET /livez HTTP/1.1\r\nHost: x\r\na: ${'a'.repeat(20_000)}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
  ])('%s', async (_name, text, status, code) => {
    const answer = await sendRaw(new URL(api.url), whole(text), 5_000);
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(JSON.parse(answer.body)).toMatchObject({ code, status });
  });

  it('an expectation that nobody knows is passed over', async () => {
    const text = 'GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: coffee\r\n\r\n';
    expect((await sendRaw(new URL(api.url), whole(text), 5_000)).status).toBe(200);
  });
});

it('none of it was called a fault of our own', () => {
  expect(api.logged.filter((line) => line.includes('internal_error'))).toEqual([]);
});
