/** OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0) of the routes: one operation each, problems grouped by their status. */
import { problemKinds, type ProblemCode } from '#libs/contracts';
import type { JsonSchema } from './class-schema.js';
import { API_VERSION, LICENSE } from './document-info.js';
import {
  elsewhere,
  everywhere,
  routes,
  type Answer,
  type AnswerHeader,
  type DescribedRoute,
  type RequestHeader,
} from './routes.js';
import { ref, runIdSchema, viewSchemas } from './view-schemas.js';

const text: JsonSchema = { type: 'string' };

const answerHeaders: Readonly<Record<AnswerHeader, JsonSchema>> = {
  Location: { description: 'Where the run is.', schema: text },
  'Idempotency-Replayed': {
    description: '`true` where the key had been used before: the run is that of the first request.',
    schema: { type: 'string', const: 'true' },
  },
  'Preference-Applied': {
    description: 'The wait that was granted (RFC 7240).',
    schema: { type: 'string', pattern: '^wait=\\d+$' },
  },
  ETag: { description: 'Changes whenever the view does.', schema: text },
  Link: { description: 'The next page, `rel="next"`; absent on the last.', schema: text },
  'Content-Disposition': { description: 'Name of the file; with CSV only.', schema: text },
  'Retry-After': {
    description: 'Seconds to wait before the same request is sent again.',
    schema: { type: 'integer' },
  },
};

const requestHeaders: Readonly<Record<RequestHeader, JsonSchema>> = {
  'Idempotency-Key': {
    required: true,
    description: 'The same for every try of one action, a new one for each new action.',
    schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,255}$' },
  },
  Prefer: {
    description:
      '`wait=N`: hold the answer for up to N seconds (60 at most) until the run is settled.',
    schema: text,
    example: 'wait=20',
  },
  'If-None-Match': { description: 'ETags that the caller knows.', schema: text },
  'Last-Event-ID': {
    description:
      'Id of the last event that arrived: the stream goes on after it, no gap, no repeat.',
    schema: text,
  },
};

const pathVariables: Readonly<Record<string, JsonSchema>> = {
  id: { description: 'Id of the run.', schema: runIdSchema },
  file: { description: 'Name of the file.', schema: text },
};

export function openApiDocument() {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Holdfast',
      version: API_VERSION,
      description:
        'Ask for a run once, get exactly one outcome. Errors are `application/problem+json` (RFC 9457) with a `code` from a closed catalogue. Every GET takes HEAD too.',
      license: { name: 'Apache License 2.0', identifier: LICENSE.name },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: viewSchemas,
      responses: Object.fromEntries(
        elsewhere.map((code) => [code, problemAnswer(problemKinds[code].status, [code])]),
      ),
    },
  };
}

function operationOf(route: DescribedRoute): object {
  const {
    id,
    tag,
    summary,
    description,
    headers = [],
    query = [],
    body,
    bodyIsOptional,
    answers,
  } = route;
  const variables = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    parameters: [
      ...variables.map((name) => ({ name, in: 'path', required: true, ...pathVariables[name] })),
      ...query,
      ...headers.map((name) => ({ name, in: 'header', ...requestHeaders[name] })),
    ],
    ...(body && { requestBody: { required: !bodyIsOptional, content: contentOf(body) } }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, answer]) => [status, answerOf(answer)]),
      ),
      ...problemAnswers(route),
    },
  };
}

function answerOf({ description, headers = [], content }: Answer): object {
  return {
    description,
    ...(headers.length > 0 && {
      headers: Object.fromEntries(headers.map((name) => [name, answerHeaders[name]])),
    }),
    ...(content && { content: contentOf(content) }),
  };
}

function contentOf(schemas: Readonly<Record<string, JsonSchema>>): object {
  return Object.fromEntries(Object.entries(schemas).map(([type, schema]) => [type, { schema }]));
}

/** One answer per status. A status is a problem or an answer of the route's own, never both. */
function problemAnswers({ problems, answers }: DescribedRoute): Record<string, object> {
  const codes = new Set([...problems, ...everywhere]);
  const byStatus = Map.groupBy(codes, (code) => problemKinds[code].status);
  const clash = [...byStatus.keys()].find((status) => status in answers);
  if (clash !== undefined) throw new RangeError(`status ${clash} is an answer and a problem`);
  return Object.fromEntries(
    [...byStatus].map(([status, some]) => [String(status), problemAnswer(status, some)]),
  );
}

function problemAnswer(status: number, codes: readonly ProblemCode[]): object {
  const schema = {
    allOf: [ref('Problem'), { properties: { status: { const: status }, code: { enum: codes } } }],
  };
  return {
    description: codes.map((code) => `\`${code}\`: ${problemKinds[code].title}.`).join(' '),
    ...([429, 503].includes(status) && {
      headers: { 'Retry-After': answerHeaders['Retry-After'] },
    }),
    content: { 'application/problem+json': { schema } },
  };
}
