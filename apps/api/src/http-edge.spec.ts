import { BadRequestException, NotFoundException } from '@nestjs/common';
import { problemKinds, type ProblemCode } from '#libs/contracts';
import { ProblemError } from './problem-error.js';
import { RouteTable } from './route-table.js';
import { toProblem } from './to-problem.js';
import { traceIdOf, traceparentOf } from './trace.js';

const request = { method: 'GET', url: '/v1/runs?x=1', methodsHere: ['POST'] };
const fastify = (code: string, statusCode: number) =>
  Object.assign(new Error(code), { code, statusCode });
const postgres = (code: string) => Object.assign(new Error('secret words'), { code });

describe('an error of a request', () => {
  it.each<[string, unknown, ProblemCode]>([
    ['one of ours', new ProblemError('run_not_found', 'no'), 'run_not_found'],
    ['a method that the address does not take', new NotFoundException(), 'method_not_allowed'],
    ['a bad request of the framework', new BadRequestException(), 'malformed_request'],
    ['a body too large', fastify('FST_ERR_CTP_BODY_TOO_LARGE', 413), 'body_too_large'],
    [
      'a wrong content type',
      fastify('FST_ERR_CTP_INVALID_MEDIA_TYPE', 415),
      'unsupported_media_type',
    ],
    ['a database that has gone', postgres('57P01'), 'database_unavailable'],
    ['a refused connection', postgres('ECONNREFUSED'), 'database_unavailable'],
    ['a bad statement of ours', postgres('42601'), 'internal_error'],
    ['anything else', new TypeError('x is not a function'), 'internal_error'],
    ['what is no error', 'oops', 'internal_error'],
  ])('is a problem of the catalogue: %s', (_, error, code) => {
    const problem = toProblem(error, request);
    expect(problem.code).toBe(code);
    expect(problem.message).not.toMatch(/secret|not a function|oops/);
  });

  it('that may pass says when to come back', () => {
    expect(toProblem(postgres('57P01'), request).headers['Retry-After']).toBe('2');
  });
});

it('the catalogue has a status and a title of its own for each problem', () => {
  const kinds = Object.values(problemKinds);
  expect(new Set(kinds.map(({ title }) => title)).size).toBe(kinds.length);
  for (const { status } of kinds) expect(status).toBeGreaterThanOrEqual(400);
});

it('the route table tells which methods an address takes', () => {
  const routes = new RouteTable();
  routes.add(['GET', 'HEAD'], '/v1/runs');
  routes.add('POST', '/v1/runs');
  routes.add('GET', '/v1/runs/:id');
  expect(routes.methodsAt('/v1/runs')).toEqual(['GET', 'HEAD', 'POST']);
  expect(routes.methodsAt('/v1/runs/run_1')).toEqual(['GET']);
  expect(routes.methodsAt('/v1/runs/')).toEqual([]);
  expect(routes.methodsAt('/v1/runs/1/2')).toEqual([]);
});

describe('the trace id', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';

  it("is the caller's, and goes on with a parent and the caller's flags", () => {
    const traceId = traceIdOf({ traceparent });
    expect(traceId).toBe('0af7651916cd43dd8448eb211c80319c');
    expect(traceparentOf({ id: traceId, headers: { traceparent } })).toMatch(
      /^00-0af76519.{24}-[0-9a-f]{16}-00$/,
    );
  });

  it.each(['', 'x', traceparent.replace('00-', 'ff-'), `00-${'0'.repeat(32)}-b7ad6b7169203331-01`])(
    'is a new one for %j',
    (bad) => {
      expect(traceIdOf({ traceparent: bad })).toMatch(/^[0-9a-f]{32}$/);
    },
  );
});
