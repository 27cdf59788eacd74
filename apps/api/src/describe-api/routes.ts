/** Every address of the api, as callers see it: what it takes, what it answers, how it can say no. The specs hold it against the real api. */
import {
  DEFAULT_PAGE_SIZE,
  FollowEventsQuery,
  ListRunsQuery,
  MAX_FOLLOWED_RUNS,
  MAX_PAGE_SIZE,
  MAX_USAGE_DAYS,
  UsageQuery,
  type ProblemCode,
} from '#libs/contracts';
import { runStatuses, type DecisionName } from '#libs/domain';
import { schemasOf, type ContractClass, type JsonSchema } from './class-schema.js';
import { ref } from './view-schemas.js';

/** Headers of answers and requests, by the names under which `openapi.json` holds them. */
export type AnswerHeader =
  | 'Location'
  | 'Idempotency-Replayed'
  | 'Preference-Applied'
  | 'ETag'
  | 'Link'
  | 'Content-Disposition'
  | 'Retry-After';
export type RequestHeader = 'Idempotency-Key' | 'Prefer' | 'If-None-Match' | 'Last-Event-ID';

export interface Answer {
  readonly description: string;
  readonly headers?: readonly AnswerHeader[];
  /** By media type; none: no body. */
  readonly content?: Readonly<Record<string, JsonSchema>>;
}

export interface DescribedRoute {
  readonly method: 'get' | 'post';
  /** Variables in braces. */
  readonly path: string;
  readonly id: string;
  readonly tag: 'Runs' | 'Decisions' | 'Usage' | 'Documents' | 'Health' | 'Descriptions';
  readonly summary: string;
  readonly description?: string;
  readonly headers?: readonly RequestHeader[];
  readonly query?: readonly JsonSchema[];
  readonly body?: Readonly<Record<string, JsonSchema>>;
  /** The body may be left out. Default: it may not. */
  readonly bodyIsOptional?: true;
  readonly answers: Readonly<Record<number, Answer>>;
  /** Besides those of `everywhere`. */
  readonly problems: readonly ProblemCode[];
}

const json = (schema: JsonSchema) => ({ 'application/json': schema });
const stream = (of: string) => ({
  'text/event-stream': {
    type: 'string',
    description: `Server-sent events. \`data\` of each is a ${of} in JSON, \`id\` its place for \`Last-Event-ID\`. A comment every 15 s.`,
  },
});

/** Any request can end so. */
export const everywhere: readonly ProblemCode[] = [
  'malformed_request',
  'uri_too_long',
  'request_timeout',
  'headers_too_large',
  'internal_error',
];
/** Answers at addresses, or by methods, that are not described. */
export const elsewhere: readonly ProblemCode[] = ['route_not_found', 'method_not_allowed'];

const ofRun: readonly ProblemCode[] = ['invalid_run_id', 'run_not_found', 'database_unavailable'];
const ofJsonBody: readonly ProblemCode[] = [
  'malformed_json',
  'invalid_body',
  'body_too_large',
  'unsupported_media_type',
];

const prefersToWait =
  'With `Prefer: wait=20` the answer is held until the run is settled (200) or the time is over (202).';

function revised(view: string): string {
  return `Where a view changes without an event (a decision was made, or answered), the stream tells it as it stands: event \`run.revised\`, a ${view}.`;
}

/** What the four decisions have in common. */
function decision(
  name: DecisionName,
  summary: string,
  description: string,
  more: Pick<DescribedRoute, 'body' | 'bodyIsOptional'> & {
    readonly problems: readonly ProblemCode[];
    readonly already?: Answer;
  },
): DescribedRoute {
  const { problems, already, ...bodies } = more;
  const before: Record<number, Answer> = already ? { 200: already } : {};
  return {
    ...{ method: 'post', path: `/v1/runs/{id}/${name}`, id: `${name}Run`, tag: 'Decisions' },
    ...{ summary, description, ...bodies },
    answers: {
      ...before,
      202: {
        description:
          "The decision is stored and on its way. The run's view and events say what becomes of it.",
        headers: ['Location'],
        content: json(ref('DecisionReceipt')),
      },
    },
    problems: [...ofRun, ...ofJsonBody, ...problems],
  };
}

const ofReview: readonly ProblemCode[] = ['run_not_in_review', 'decision_pending'];

export const routes: readonly DescribedRoute[] = [
  {
    method: 'post',
    path: '/v1/runs',
    id: 'submitRun',
    tag: 'Runs',
    summary: 'Ask for a run',
    description: `One key is one run: the same key with the same body finds the first run again, in whatever state it is. ${prefersToWait}`,
    headers: ['Idempotency-Key', 'Prefer'],
    body: json(ref('SubmitRunBody')),
    answers: {
      200: {
        description: 'The run is settled; only for callers who prefer to wait.',
        headers: ['Location', 'Idempotency-Replayed', 'Preference-Applied'],
        content: json(ref('RunView')),
      },
      202: {
        description: 'The run is accepted, or was before.',
        headers: ['Location', 'Idempotency-Replayed', 'Preference-Applied'],
        content: json(ref('RunView')),
      },
    },
    problems: [
      'idempotency_key_missing',
      'idempotency_key_invalid',
      'idempotency_key_reused',
      ...ofJsonBody,
      'unknown_workflow',
      'invalid_input',
      'invalid_documents',
      'too_many_unfinished_runs',
      'database_unavailable',
    ],
  },
  {
    method: 'get',
    path: '/v1/runs',
    id: 'listRuns',
    tag: 'Runs',
    summary: 'List runs, newest first',
    query: queryOf(ListRunsQuery, {
      statuses: {
        type: 'string',
        pattern: `^(${runStatuses.join('|')})(,(${runStatuses.join('|')}))*$`,
        description: 'One or more states, separated by commas.',
      },
      limit: { type: 'integer', minimum: 1, maximum: MAX_PAGE_SIZE, default: DEFAULT_PAGE_SIZE },
    }),
    answers: {
      200: {
        description: 'A page; the next one is in `Link: rel="next"` and in `next`.',
        headers: ['Link'],
        content: json(ref('RunPage')),
      },
    },
    problems: ['invalid_query', 'database_unavailable'],
  },
  {
    method: 'get',
    path: '/v1/runs/{id}',
    id: 'findRun',
    tag: 'Runs',
    summary: 'Where a run stands',
    description: prefersToWait,
    headers: ['If-None-Match', 'Prefer'],
    answers: {
      200: {
        description: 'The run.',
        headers: ['ETag', 'Preference-Applied'],
        content: json(ref('RunView')),
      },
      202: {
        description: 'The time to wait is over and the run is not settled.',
        headers: ['ETag', 'Preference-Applied'],
        content: json(ref('RunView')),
      },
      304: { description: 'As the caller knows it.', headers: ['ETag'] },
    },
    problems: ofRun,
  },
  {
    method: 'get',
    path: '/v1/runs/{id}/result',
    id: 'fetchResult',
    tag: 'Runs',
    summary: 'The result of a completed run',
    description: 'As JSON; the matrix of a tender also as CSV, for those who accept `text/csv`.',
    answers: {
      200: {
        description: "The result, by the output contract of the run's workflow.",
        headers: ['Content-Disposition'],
        content: {
          ...json({ type: 'object' }),
          'text/csv': { type: 'string', description: 'RFC 4180, with a line of names first.' },
        },
      },
    },
    problems: [
      ...ofRun,
      'not_acceptable',
      'run_not_completed',
      'run_without_result',
      'run_expired',
    ],
  },
  {
    method: 'get',
    path: '/v1/runs/{id}/events',
    id: 'followRun',
    tag: 'Runs',
    summary: 'What happened to a run, or what happens',
    description: `JSON, or a stream for those who accept \`text/event-stream\`. The stream ends with the run. ${revised('RunView')}`,
    headers: ['Last-Event-ID'],
    answers: {
      200: {
        description: 'The history.',
        content: { ...json(ref('RunHistory')), ...stream('RunHistoryEntry') },
      },
      204: { description: 'Nothing more will happen: do not come back.' },
    },
    problems: [...ofRun, 'invalid_header', 'run_expired'],
  },
  {
    method: 'get',
    path: '/v1/events',
    id: 'followRuns',
    tag: 'Runs',
    summary: 'One stream for many runs',
    description: `In order within a run; between runs no order is promised. ${revised('RunStreamView')}`,
    headers: ['Last-Event-ID'],
    query: queryOf(FollowEventsQuery, {
      runIds: {
        type: 'string',
        pattern: '^run_[0-9a-f-]{36}(,run_[0-9a-f-]{36})*$',
        description: `1 to ${MAX_FOLLOWED_RUNS} ids of runs, separated by commas.`,
      },
    }),
    answers: {
      200: { description: 'The events of these runs.', content: stream('RunStreamEntry') },
      204: { description: 'Nothing more will happen: do not come back.' },
    },
    problems: [
      'invalid_query',
      'invalid_header',
      'run_not_found',
      'not_acceptable',
      'database_unavailable',
    ],
  },
  decision(
    'cancel',
    'Stop a run',
    'Wherever it stands, a person waiting for it included. A second cancel finds the first one. What was spent stays recorded.',
    {
      body: json(ref('DecideRunBody')),
      bodyIsOptional: true,
      problems: ['run_already_ended'],
      already: {
        description: 'The run was cancelled before.',
        headers: ['Location'],
        content: json(ref('DecisionReceipt')),
      },
    },
  ),
  decision(
    'redrive',
    'Send a run on that needs review',
    'The cause is mended: it goes on after the last finished step, with fresh attempts.',
    {
      body: json(ref('RedriveRunBody')),
      bodyIsOptional: true,
      problems: [...ofReview, 'redrive_pending'],
    },
  ),
  decision('discard', 'Give a run up that needs review', 'It fails as `discarded`.', {
    body: json(ref('DiscardRunBody')),
    problems: ofReview,
  }),
  decision(
    'complete',
    'Complete a run by hand that needs review',
    "With a result that meets its workflow's output contract.",
    {
      body: json(ref('CompleteRunBody')),
      problems: [...ofReview, 'invalid_result', 'workflow_version_unknown'],
    },
  ),
  {
    method: 'get',
    path: '/v1/runs/{id}/decisions',
    id: 'listDecisions',
    tag: 'Decisions',
    summary: 'What was decided about a run, and what became of it',
    answers: {
      200: { description: 'All of them, oldest first.', content: json(ref('RunDecisions')) },
    },
    problems: ofRun,
  },
  {
    method: 'get',
    path: '/v1/usage',
    id: 'reportUsage',
    tag: 'Usage',
    summary: 'What was spent, by day, workflow and model',
    description: `Of runs that have ended or wait for a person, as far as they are kept; at most ${MAX_USAGE_DAYS} days at once. Retries and lost calls stand apart.`,
    query: queryOf(UsageQuery, {
      day: { type: 'string', format: 'date', description: 'UTC.' },
    }),
    answers: { 200: { description: 'The spend.', content: json(ref('UsageReport')) } },
    problems: ['invalid_query', 'database_unavailable'],
  },
  {
    method: 'post',
    path: '/v1/documents',
    id: 'storeDocument',
    tag: 'Documents',
    summary: 'Upload a document',
    description: 'Exactly one file. The same bytes are stored once.',
    body: {
      'multipart/form-data': {
        type: 'object',
        properties: { file: { type: 'string', contentMediaType: 'application/octet-stream' } },
        required: ['file'],
      },
    },
    answers: {
      200: {
        description: 'The same bytes were there before.',
        content: json(ref('DocumentView')),
      },
      201: { description: 'The document is stored.', content: json(ref('DocumentView')) },
    },
    problems: [
      'invalid_upload',
      'empty_document',
      'document_not_text',
      'document_too_large',
      'body_too_large',
      'unsupported_media_type',
      'database_unavailable',
    ],
  },
  {
    method: 'get',
    path: '/livez',
    id: 'live',
    tag: 'Health',
    summary: 'The process runs',
    answers: { 200: { description: 'It does.', content: json(ref('Alive')) } },
    problems: [],
  },
  {
    method: 'get',
    path: '/readyz',
    id: 'ready',
    tag: 'Health',
    summary: 'The api can take requests',
    description: 'Asks Postgres. Kafka away is `degraded`, not down; OpenAI is not asked.',
    answers: {
      200: { description: 'It can.', content: json(ref('Health')) },
      503: { description: 'It cannot; the body says why.', content: json(ref('Health')) },
    },
    problems: [],
  },
  {
    method: 'get',
    path: '/startupz',
    id: 'started',
    tag: 'Health',
    summary: 'The api has come up once',
    answers: {
      200: { description: 'It has.', content: json(ref('Health')) },
      503: { description: 'Not yet; the body says why.', content: json(ref('Health')) },
    },
    problems: [],
  },
  {
    method: 'get',
    path: '/metrics',
    id: 'metrics',
    tag: 'Health',
    summary: 'What the api has counted and measured',
    answers: {
      200: {
        description: "Prometheus' text format; what each metric means is in docs/metrics.md.",
        content: { 'text/plain': { type: 'string' } },
      },
    },
    problems: [],
  },
  {
    method: 'get',
    path: '/openapi.json',
    id: 'describeHttp',
    tag: 'Descriptions',
    summary: 'This document',
    answers: { 200: { description: 'OpenAPI 3.1.', content: json({ type: 'object' }) } },
    problems: [],
  },
  {
    method: 'get',
    path: '/asyncapi.json',
    id: 'describeKafka',
    tag: 'Descriptions',
    summary: 'What is on Kafka',
    answers: { 200: { description: 'AsyncAPI 3.0.', content: json({ type: 'object' }) } },
    problems: [],
  },
  {
    method: 'get',
    path: '/docs',
    id: 'readDocs',
    tag: 'Descriptions',
    summary: 'This document as a page',
    answers: { 200: { description: 'The page.', content: { 'text/html': { type: 'string' } } } },
    problems: [],
  },
  {
    method: 'get',
    path: '/docs/{file}',
    id: 'readDocsFile',
    tag: 'Descriptions',
    summary: 'What the page is made of',
    answers: {
      200: {
        description: 'The file.',
        content: {
          'text/css': { type: 'string' },
          'text/javascript': { type: 'string' },
          'image/png': { type: 'string' },
        },
      },
    },
    problems: ['route_not_found'],
  },
];

/** The fields of a query class as parameters. In an address nothing is null: it is left out. */
function queryOf(
  type: ContractClass,
  ownRules: Readonly<Record<string, JsonSchema>>,
): readonly JsonSchema[] {
  const schema = schemasOf([type], { refPrefix: '', ownRules })[type.name];
  const required = (schema?.['required'] ?? []) as readonly string[];
  const fields = Object.entries((schema?.['properties'] ?? {}) as Record<string, JsonSchema>);
  return fields.map(([name, field]) => {
    const { description, anyOf, ...rest } = field as { anyOf?: JsonSchema[] } & JsonSchema;
    return {
      name,
      in: 'query',
      required: required.includes(name),
      ...(description !== undefined && { description }),
      schema: anyOf?.[0] ?? rest,
    };
  });
}
