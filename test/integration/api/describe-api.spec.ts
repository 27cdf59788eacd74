/**
 * The descriptions of the api held against the api itself. Real: api, Postgres, Kafka. Stands in: the processor, whose events the
 * spec writes. Schemas are closed here: a field that is answered and not described fails.
 */
import { randomUUID } from 'node:crypto';
import type { RouteOptions } from 'fastify';
import type { Response } from 'supertest';
import {
  problemKinds,
  type DecisionReceipt,
  type DocumentView,
  type ProblemCode,
  type RunView,
} from '#libs/contracts';
import { JsonLog } from '#libs/process';
import { DocumentSchemas } from '../../../dev/docs/document-schemas.js';
import { createApi } from '../../../apps/api/src/create-api.js';
import { asyncApiDocument } from '../../../apps/api/src/describe-api/asyncapi.js';
import { openApiDocument } from '../../../apps/api/src/describe-api/openapi.js';
import { elsewhere, everywhere, routes } from '../../../apps/api/src/describe-api/routes.js';
import { startTestApi, type TestApi } from './api-fixture.js';
import { openStream, take } from './event-stream.js';
import { eventMessage, failure, storyOf } from './run-story.js';

interface DescribedResponse {
  readonly headers?: Readonly<Record<string, { readonly schema: object }>>;
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}
type Operation = Readonly<{ responses: Readonly<Record<string, DescribedResponse>> }>;

const document = openApiDocument();
const schemas = new DocumentSchemas(closed(document));
const tried = new Set<string>();

let api: TestApi;
let completed: string;
let failed: string;
let queued: string;
let tender: string;
const cost = { bookedUsd: '0.50', uncertainUsd: '0.25', maxCostUsd: '2.50' };
const spent = {
  ...{ day: '2026-11-20', model: 'gpt-5.2', calls: 1, inputTokens: 1, cachedInputTokens: 0 },
  ...{ outputTokens: 1, bookedUsd: '0.50', uncertainUsd: '0.25', retriesUsd: '0.00' },
};
/** Runs before a person: one for each decision that is made, and one that is decided about. */
let inReview: string[];
let decided: string;

beforeAll(async () => {
  api = await startTestApi();
  [completed, failed, queued] = [await accepted(), await accepted(), await accepted()] as const;
  tender = await acceptedTender();
  inReview = await Promise.all([1, 2, 3, 4, 5].map(accepted));
  await api.publish([
    ...storyOf(completed.slice(4)),
    eventMessage(tender.slice(4), 'RunCompleted', {
      ...{ workflow: 'tender-compliance', version: 1, status: 'completed' },
      ...{ occurredAt: new Date().toISOString(), usage: noUsage, durationMs: 1 },
      ...{ resultRef: 'cnt_x', result: { document: { fileName: 't.md' }, requirements: [] } },
    }),
    eventMessage(failed.slice(4), 'RunFailed', {
      ...{ version: 1, status: 'failed', occurredAt: new Date().toISOString() },
      ...{ failure, usage: noUsage, durationMs: 1, cost, spend: [spent] },
    }),
    ...inReview.map((id) =>
      eventMessage(id.slice(4), 'RunNeedsReview', {
        ...{ version: 1, status: 'needs_review', occurredAt: new Date().toISOString() },
        ...{ failure, usage: noUsage },
      }),
    ),
  ]);
  await ended(completed);
  await ended(failed);
  await ended(tender);
  await Promise.all(inReview.map(ended));
  decided = inReview.pop() ?? '';
  await decide(decided, 'redrive').expect(202);
});
afterAll(() => api?.stop());

const noUsage = {
  ...{ calls: 0, inputTokens: 0, cachedInputTokens: 0, outputTokens: 0, reasoningTokens: 0 },
};
const question = { workflow: 'answer', input: { question: 'Why?' } };

function submit(body: object = question, key: string = randomUUID()) {
  return api.http().post('/v1/runs').set('Idempotency-Key', key).send(body);
}

function decide(id: string, decision: string, body?: object) {
  return api.http().post(`/v1/runs/${id}/${decision}`).send(body);
}

async function accepted(): Promise<string> {
  return ((await submit()).body as RunView).id;
}

async function acceptedTender(): Promise<string> {
  const document = await upload('# Tender');
  const documents = [(document.body as DocumentView).id];
  const body = { workflow: 'tender-compliance', input: {}, documents };
  return ((await submit(body).expect(202)).body as RunView).id;
}

function upload(text: string) {
  return api.http().post('/v1/documents').attach('file', Buffer.from(text), 'tender.md');
}

async function ended(id: string): Promise<void> {
  await api.http().get(`/v1/runs/${id}`).set('Prefer', 'wait=20').expect(200);
}

/** Method, path, and status of an answer are described, and its body and headers are as described. */
function fits(method: string, path: string, answer: Response): string[] {
  const type = (answer.headers['content-type'] ?? '').split(';')[0] ?? '';
  tried.add(`${method} ${path} ${answer.status} ${type}`);
  const operation = (document.paths[path] as Record<string, Operation> | undefined)?.[method];
  const described = operation?.responses[String(answer.status)];
  if (!described) return [`${method} ${path} does not say that it answers ${answer.status}`];
  const at = `/paths/${escaped(path)}/${method}/responses/${answer.status}`;
  return [...headerProblems(described, at, answer), ...bodyProblems(described, at, type, answer)];
}

function bodyProblems(described: DescribedResponse, at: string, type: string, answer: Response) {
  if (!described.content) return answer.text ? ['a body that is not described'] : [];
  if (!(type in described.content)) return [`${type} is not described`];
  const value: unknown = /json$/.test(type) ? answer.body : (answer.text ?? '');
  return schemas.problems(`${at}/content/${escaped(type)}/schema`, value);
}

const announced =
  /^(location|etag|link|retry-after|idempotency-replayed|content-disposition|preference-applied)$/;

function headerProblems(described: DescribedResponse, at: string, answer: Response): string[] {
  const known = Object.keys(described.headers ?? {});
  return Object.entries(answer.headers as Record<string, string>)
    .filter(([name]) => announced.test(name))
    .flatMap(([name, value]) => {
      const header = known.find((each) => each.toLowerCase() === name);
      if (header === undefined) return [`${name} is not described`];
      const typed = /^\d+$/.test(value) ? Number(value) : value;
      return schemas.problems(`${at}/headers/${header}/schema`, typed);
    });
}

it('every registered route is described, and every described route is registered', async () => {
  const registered = new Set<string>();
  const app = await createApi(api.settings, new JsonLog('error', () => undefined), () => undefined);
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRoute', ({ method, url }: RouteOptions) => {
      for (const each of [method].flat()) {
        if (each !== 'HEAD') registered.add(`${each} ${url.replace(/:(\w+)/g, '{$1}')}`);
      }
    });
  await app.init();
  await app.close();
  const described = routes.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
  expect([...registered].sort()).toEqual(described.sort());
});

it('every problem of the catalogue can be the answer of some route', () => {
  const described = new Set([...routes.flatMap(({ problems }) => problems), ...everywhere]);
  elsewhere.forEach((code) => described.add(code));
  expect([...described].sort()).toEqual(Object.keys(problemKinds).sort());
});

it('points only at what it holds', () => {
  for (const [, path = ''] of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    const found = path
      .split('/')
      .reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], document);
    expect([path, typeof found]).toEqual([path, 'object']);
  }
});

describe('a real answer fits its description:', () => {
  const runPath = (rest = '') => `/v1/runs/{id}${rest}`;
  const get = (path: string) => api.http().get(path);

  it.each<[string, string, string, () => PromiseLike<Response>]>([
    ['a run, accepted', 'post', '/v1/runs', () => submit()],
    ['a run, with everything', 'post', '/v1/runs', () => submit(fullBody())],
    [
      'a run, replayed and settled, for one who waits',
      'post',
      '/v1/runs',
      async () => {
        const key = randomUUID();
        const { id } = (await submit(question, key)).body as RunView;
        await api.publish(storyOf(id.slice(4)));
        return submit(question, key).set('Prefer', 'wait=20').expect(200);
      },
    ],
    ['a run, not settled in time', 'get', runPath(), () => waiting(queued)],
    ['a list', 'get', '/v1/runs', () => get('/v1/runs?status=completed,failed')],
    ['a page of a list', 'get', '/v1/runs', () => get('/v1/runs?limit=1')],
    ['what was spent', 'get', '/v1/usage', () => get('/v1/usage?from=2026-11-01&to=2026-11-30')],
    ['a view', 'get', runPath(), () => get(`/v1/runs/${completed}`)],
    ['a view of a failure', 'get', runPath(), () => get(`/v1/runs/${failed}`)],
    [
      'a view that is known',
      'get',
      runPath(),
      () => get(`/v1/runs/${completed}`).set('If-None-Match', '*').expect(304),
    ],
    ['a result', 'get', runPath('/result'), () => get(`/v1/runs/${completed}/result`)],
    [
      'a result as a table',
      'get',
      runPath('/result'),
      () => get(`/v1/runs/${tender}/result`).set('Accept', 'text/csv'),
    ],
    ['a history', 'get', runPath('/events'), () => get(`/v1/runs/${completed}/events`)],
    ['a stream', 'get', runPath('/events'), () => streamOf(`/v1/runs/${completed}/events`)],
    [
      'a stream that is over',
      'get',
      runPath('/events'),
      () => streamOf(`/v1/runs/${completed}/events`).set('Last-Event-ID', '7').expect(204),
    ],
    ['a stream of runs', 'get', '/v1/events', () => streamOf(`/v1/events?runs=${completed}`)],
    [
      'a stream of runs that is over',
      'get',
      '/v1/events',
      async () => {
        const address = `/v1/events?runs=${completed},${failed}`;
        const frames = await take(await openStream(api.url + address));
        return streamOf(address)
          .set('Last-Event-ID', frames.at(-1)?.id ?? '')
          .expect(204);
      },
    ],
    ['a new document', 'post', '/v1/documents', () => upload(randomUUID()).expect(201)],
    [
      'a document again',
      'post',
      '/v1/documents',
      async () => {
        await upload('# Same');
        return upload('# Same').expect(200);
      },
    ],
    [
      'a cancel',
      'post',
      runPath('/cancel'),
      () => decide(inReview[0] ?? '', 'cancel', { reason: 'no longer wanted' }),
    ],
    [
      'a cancel of what is cancelled',
      'post',
      runPath('/cancel'),
      async () => {
        const id = await accepted();
        const { decisionId } = (await decide(id, 'cancel')).body as DecisionReceipt;
        const at = { status: 'queued', occurredAt: new Date().toISOString() } as const;
        const applied = { ...at, version: 1, decisionId, decision: 'cancel' };
        const cancelled = { ...at, version: 2, status: 'cancelled', usage: noUsage } as const;
        await api.publish([
          eventMessage(id.slice(4), 'RunDecisionApplied', applied),
          eventMessage(id.slice(4), 'RunCancelled', { ...cancelled, durationMs: 1 }),
        ]);
        await ended(id);
        return decide(id, 'cancel').expect(200);
      },
    ],
    ['a redrive', 'post', runPath('/redrive'), () => decide(inReview[1] ?? '', 'redrive')],
    [
      'a discard',
      'post',
      runPath('/discard'),
      () => decide(inReview[2] ?? '', 'discard', { reason: 'a mistake' }),
    ],
    [
      'a completion',
      'post',
      runPath('/complete'),
      () => decide(inReview[3] ?? '', 'complete', { result: { answer: 'x', refused: false } }),
    ],
    [
      'the decisions of a run',
      'get',
      runPath('/decisions'),
      () => get(`/v1/runs/${decided}/decisions`),
    ],
    ['a view that is marked', 'get', runPath(), () => get(`/v1/runs/${decided}`)],
    ['life', 'get', '/livez', () => get('/livez')],
    ['readiness', 'get', '/readyz', () => get('/readyz')],
    ['having started', 'get', '/startupz', () => get('/startupz')],
    ['metrics', 'get', '/metrics', () => get('/metrics')],
    ['the description of HTTP', 'get', '/openapi.json', () => get('/openapi.json')],
    ['the description of Kafka', 'get', '/asyncapi.json', () => get('/asyncapi.json')],
    ['the page', 'get', '/docs', () => get('/docs')],
    ['a script of the page', 'get', '/docs/{file}', () => get('/docs/swagger-ui-bundle.js')],
    ['a style of the page', 'get', '/docs/{file}', () => get('/docs/swagger-ui.css')],
    ['a picture of the page', 'get', '/docs/{file}', () => get('/docs/favicon-32x32.png')],
  ])('%s', async (_, method, path, ask) => {
    const answer = await ask();
    expect(answer.status).toBeLessThan(400);
    expect(fits(method, path, answer)).toEqual([]);
  });

  it.each<[ProblemCode, string, string, () => PromiseLike<Response>]>([
    ['idempotency_key_missing', 'post', '/v1/runs', () => api.http().post('/v1/runs').send({})],
    ['idempotency_key_invalid', 'post', '/v1/runs', () => submit(question, 'a b')],
    ['invalid_body', 'post', '/v1/runs', () => submit({ ...question, colour: 'blue' })],
    ['unknown_workflow', 'post', '/v1/runs', () => submit({ ...question, workflow: 'paint' })],
    ['invalid_input', 'post', '/v1/runs', () => submit({ ...question, input: {} })],
    [
      'invalid_documents',
      'post',
      '/v1/runs',
      () => submit({ ...question, documents: [`doc_${'a'.repeat(43)}`] }),
    ],
    [
      'idempotency_key_reused',
      'post',
      '/v1/runs',
      async () => {
        const key = randomUUID();
        await submit(question, key);
        return submit({ ...question, reference: 'another' }, key);
      },
    ],
    [
      'malformed_json',
      'post',
      '/v1/runs',
      () =>
        submit()
          .set('Content-Type', 'application/json')
          .send('{"broken' as never),
    ],
    [
      'unsupported_media_type',
      'post',
      '/v1/runs',
      () =>
        submit()
          .set('Content-Type', 'text/plain')
          .send('hello' as never),
    ],
    ['invalid_query', 'get', '/v1/usage', () => get('/v1/usage?from=yesterday')],
    ['invalid_query', 'get', '/v1/runs', () => get('/v1/runs?status=done')],
    ['invalid_run_id', 'get', runPath(), () => get('/v1/runs/1')],
    ['run_not_found', 'get', runPath(), () => get(`/v1/runs/run_${randomUUID()}`)],
    ['run_not_completed', 'get', runPath('/result'), () => get(`/v1/runs/${queued}/result`)],
    ['run_without_result', 'get', runPath('/result'), () => get(`/v1/runs/${failed}/result`)],
    [
      'not_acceptable',
      'get',
      runPath('/result'),
      () => get(`/v1/runs/${completed}/result`).set('Accept', 'text/csv'),
    ],
    [
      'invalid_header',
      'get',
      runPath('/events'),
      () => get(`/v1/runs/${queued}/events`).set('Last-Event-ID', 'x'),
    ],
    ['invalid_query', 'get', '/v1/events', () => streamOf('/v1/events')],
    [
      'not_acceptable',
      'get',
      '/v1/events',
      () => get(`/v1/events?runs=${queued}`).set('Accept', 'application/json'),
    ],
    ['run_not_found', 'get', '/v1/events', () => streamOf(`/v1/events?runs=run_${randomUUID()}`)],
    ['run_already_ended', 'post', runPath('/cancel'), () => decide(completed, 'cancel')],
    ['run_not_in_review', 'post', runPath('/redrive'), () => decide(queued, 'redrive')],
    ['redrive_pending', 'post', runPath('/redrive'), () => decide(decided, 'redrive')],
    [
      'decision_pending',
      'post',
      runPath('/discard'),
      () => decide(decided, 'discard', { reason: 'x' }),
    ],
    ['invalid_result', 'post', runPath('/complete'), () => completeOld(1)],
    ['workflow_version_unknown', 'post', runPath('/complete'), () => completeOld(99)],
    [
      'run_not_found',
      'get',
      runPath('/decisions'),
      () => get(`/v1/runs/run_${randomUUID()}/decisions`),
    ],
    ['empty_document', 'post', '/v1/documents', () => upload('')],
    ['unsupported_media_type', 'post', '/v1/documents', () => api.http().post('/v1/documents')],
    ['route_not_found', 'get', '/docs/{file}', () => get('/docs/package.json')],
  ])('the problem %s of %s %s', async (code, method, path, ask) => {
    const answer = await ask();
    expect(answer.body).toMatchObject({ code });
    expect(fits(method, path, answer)).toEqual([]);
  });

  it('each event of a stream', async () => {
    const ofRun = await take(await openStream(`${api.url}/v1/runs/${completed}/events`));
    const ofRuns = await take(await openStream(`${api.url}/v1/events?runs=${completed}`));
    expect([ofRun.length, ofRuns.length]).toEqual([7, 7]);
    for (const [name, frames] of [
      ['RunHistoryEntry', ofRun],
      ['RunStreamEntry', ofRuns],
    ] as const) {
      for (const { data } of frames)
        expect(schemas.problems(`/components/schemas/${name}`, JSON.parse(data))).toEqual([]);
    }
  });

  it('each address and method that is not there', async () => {
    const nowhere = await get('/v1/nothing');
    const wrongly = await api.http().delete('/v1/runs');
    expect([nowhere.status, wrongly.status]).toEqual([404, 405]);
    for (const { body } of [nowhere, wrongly]) {
      const { code } = body as { code: string };
      const schema = `/components/responses/${code}/content/application~1problem+json/schema`;
      expect(schemas.problems(schema, body)).toEqual([]);
    }
  });

  it('for every answer without a problem that is described', () => {
    const described = routes.flatMap(({ method, path, answers }) =>
      Object.entries(answers).flatMap(([status, { content }]) =>
        Object.keys(content ?? { '': {} }).map((type) => `${method} ${path} ${status} ${type}`),
      ),
    );
    // Postgres is there all the while: no probe says no.
    const untried = described.filter((each) => !tried.has(each) && !/z 503 /.test(each));
    expect(untried).toEqual([]);
  });

  /** By hand, with a result that is none, of a run of this version of its workflow. */
  async function completeOld(workflowVersion: number) {
    const id = await accepted();
    await api.database.query(
      `UPDATE api.runs SET status = 'needs_review', version = 1, workflow_version = $2 WHERE id = $1`,
      [id.slice(4), workflowVersion],
    );
    return decide(id, 'complete', { result: {} });
  }

  function waiting(id: string) {
    return get(`/v1/runs/${id}`).set('Prefer', 'wait=0').expect(202);
  }

  function streamOf(address: string) {
    return get(address).set('Accept', 'text/event-stream');
  }

  function fullBody() {
    const labels = { team: 'bids' };
    return { ...question, labels, reference: 'r', priority: 'batch', deadline: 'PT2H' };
  }
});

describe('a real answer of an api that is at its limits fits its description:', () => {
  let small: TestApi;
  beforeAll(async () => {
    small = await startTestApi({
      ...{ API_MAX_UNFINISHED_RUNS: '1', API_MAX_BODY_BYTES: '1024' },
      API_MAX_DOCUMENT_BYTES: '1024',
    });
    await submitTo(small).expect(202);
  });
  afterAll(() => small?.stop());

  it.each<[ProblemCode, string, () => PromiseLike<Response>]>([
    ['too_many_unfinished_runs', '/v1/runs', () => submitTo(small)],
    ['body_too_large', '/v1/runs', () => submitTo(small, 'x'.repeat(2_000))],
    ['document_too_large', '/v1/documents', () => uploadTo(small, 'x'.repeat(2_000))],
  ])('%s', async (code, path, ask) => {
    const answer = await ask();
    expect(answer.body).toMatchObject({ code });
    expect(fits('post', path, answer)).toEqual([]);
  });

  function submitTo(to: TestApi, text = 'Why?') {
    const body = { workflow: 'answer', input: { question: text } };
    return to.http().post('/v1/runs').set('Idempotency-Key', randomUUID()).send(body);
  }

  function uploadTo(to: TestApi, text: string) {
    return to.http().post('/v1/documents').attach('file', Buffer.from(text), 'tender.md');
  }
});

describe('an answer that is not as described is noticed:', () => {
  const problemsOf = (change: (view: Record<string, unknown>) => void) => async () => {
    const answer = await api.http().get(`/v1/runs/${completed}`);
    change(answer.body as Record<string, unknown>);
    return fits('get', '/v1/runs/{id}', answer);
  };
  it.each<[string, () => Promise<string[]>]>([
    ['a field more', problemsOf((view) => (view['colour'] = 'blue'))],
    ['a field less', problemsOf((view) => delete view['links'])],
    ['a field of another type', problemsOf((view) => (view['version'] = '7'))],
    ['a part of another shape', problemsOf((view) => (view['usage'] = { calls: 1 }))],
  ])('%s', async (_, problems) => {
    expect(await problems()).not.toEqual([]);
  });
});

describe('what is served', () => {
  it('is what docs/api holds', async () => {
    expect((await api.http().get('/openapi.json')).body).toEqual(plain(document));
    expect((await api.http().get('/asyncapi.json')).body).toEqual(plain(asyncApiDocument()));
  });

  it('needs no other server: the page names local files only, and its policy forbids the rest', async () => {
    const page = await api.http().get('/docs').expect(200);
    const policy = String(page.headers['content-security-policy']);
    expect(policy).toMatch(/default-src 'none'; script-src 'self'; /);
    expect(policy).toContain("connect-src 'self'");
    expect(policy).not.toMatch(/https?:|\*|unsafe/);
    const named = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, name]) => name);
    expect(named.length).toBeGreaterThan(3);
    for (const name of named) await api.http().get(String(name)).expect(200);
    expect(page.text).not.toMatch(/<script>|<style|style=|\son\w+=/);
    const start = await api.http().get('/docs/start.js').expect(200);
    expect(start.text).toContain("url: '/openapi.json'");
    expect(start.text).not.toContain('http');
  });

  it('is no other file of the package or the machine', async () => {
    for (const name of ['index.html', 'package.json', '..%2Fpackage.json', 'constructor']) {
      await api.http().get(`/docs/${name}`).expect(404);
    }
  });
});

/** As JSON has it: without what is undefined. */
function plain(value: object): unknown {
  return JSON.parse(JSON.stringify(value));
}

/** Every schema of an object that lists its fields takes no others. */
function closed<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(closed) as T;
  const entries = Object.entries(value).map(([key, each]) => [key, closed(each as unknown)]);
  const schema = Object.fromEntries(entries) as Record<string, unknown>;
  const lists = schema['type'] === 'object' && typeof schema['properties'] === 'object';
  return (lists ? { additionalProperties: false, ...schema } : schema) as T;
}

function escaped(segment: string): string {
  return segment.replaceAll('~', '~0').replaceAll('/', '~1');
}
