/**
 * Every way in which the HTTP API can say no: a closed catalogue, answered as RFC 9457 `application/problem+json`.
 * A code never changes its meaning; callers may switch on it.
 */
interface ProblemKind {
  readonly status: number;
  /** One line, the same for every occurrence. */
  readonly title: string;
  /** May the same request succeed later, unchanged? */
  readonly retryable: boolean;
}

const no = (status: number, title: string): ProblemKind => ({ status, title, retryable: false });
const later = (status: number, title: string): ProblemKind => ({ status, title, retryable: true });

export const problemKinds = {
  malformed_request: no(400, 'The request is not valid HTTP or its URL cannot be read'),
  malformed_json: no(400, 'The body is not valid JSON'),
  invalid_body: no(400, 'The body has missing, wrong or unknown fields'),
  invalid_query: no(400, 'The query has wrong or unknown parameters'),
  invalid_header: no(400, 'A header has a wrong value'),
  invalid_run_id: no(400, 'The run id is not well-formed'),
  idempotency_key_missing: no(400, 'The Idempotency-Key header is missing'),
  idempotency_key_invalid: no(400, 'The Idempotency-Key header is not valid'),
  unknown_workflow: no(400, 'There is no workflow of this name'),
  invalid_input: no(400, "The input does not fit the workflow's contract"),
  invalid_documents: no(400, 'The documents do not fit the workflow'),
  invalid_result: no(400, "The result does not fit the workflow's output contract"),
  empty_document: no(400, 'The document is empty'),
  invalid_upload: no(400, 'The upload is not one whole file'),
  document_not_text: no(400, 'The document says it is text, but is not UTF-8 text'),
  route_not_found: no(404, 'There is nothing at this address'),
  run_not_found: no(404, 'There is no such run'),
  method_not_allowed: no(405, 'This address does not take this method'),
  not_acceptable: no(406, 'Nothing that the caller accepts is offered here'),
  run_not_completed: later(409, 'The run has no result yet'),
  run_without_result: no(409, 'The run ended without a result'),
  run_already_ended: no(409, 'The run has already ended'),
  run_not_in_review: no(409, 'The run does not wait for a person'),
  redrive_pending: no(409, 'The run is being redriven already'),
  decision_pending: later(409, 'Something else was decided about the run'),
  workflow_version_unknown: later(409, "This build lacks the run's version of its workflow"),
  run_expired: no(410, 'The run has ended long ago and its details are gone'),
  document_too_large: no(413, 'The document is too large'),
  body_too_large: no(413, 'The body is too large'),
  uri_too_long: no(414, 'The address is too long'),
  unsupported_media_type: no(415, 'The body has a content type that this address does not take'),
  idempotency_key_reused: no(422, 'The idempotency key was used before, with another body'),
  request_timeout: later(408, 'The request took too long to arrive'),
  too_many_unfinished_runs: later(429, 'Too many runs are unfinished'),
  headers_too_large: no(431, 'The headers are too large'),
  internal_error: later(500, 'Holdfast had a fault of its own'),
  database_unavailable: later(503, 'The database cannot be reached'),
} as const satisfies Readonly<Record<string, ProblemKind>>;

export type ProblemCode = keyof typeof problemKinds;

/** One thing to mend: where it is, what is wrong there, what to write instead. */
export interface ProblemField {
  /** JSON Pointer (RFC 6901) into the body. */
  readonly pointer?: string;
  /** Name of a query parameter. */
  readonly parameter?: string;
  /** Name of a header. */
  readonly header?: string;
  readonly message: string;
  readonly mend: string;
}

/** The body of every error answer. */
export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What happened this time. */
  readonly detail: string;
  readonly code: ProblemCode;
  readonly errors: readonly ProblemField[];
  readonly retryable: boolean;
  /** W3C trace id: quote it to support. */
  readonly traceId: string;
}

/** `type` of a problem: a name, not an address. */
export function problemTypeOf(code: ProblemCode): string {
  return `urn:holdfast:problem:${code}`;
}
