import { HttpException, NotFoundException } from '@nestjs/common';
import { isTransientError } from '#libs/postgres';
import { ProblemError } from './problem-error.js';

/** What the answer to a failed request depends on besides the error. */
export interface FailedRequest {
  readonly method: string;
  readonly url: string;
  /** Methods that some route takes at this address. */
  readonly methodsHere: readonly string[];
}

const RETRY_AFTER_SECONDS = '2';

/** Every error as one of the catalogue: ours as it is, the framework's by what it means, a lost database, else a fault of our own. */
export function toProblem(error: unknown, request: FailedRequest): ProblemError {
  if (error instanceof ProblemError) return error;
  const status = frameworkStatusOf(error);
  if (status !== undefined) return fromFramework(error, status, request);
  if (isTransientError(error)) {
    return new ProblemError(
      'database_unavailable',
      'The database cannot be reached just now. The same request can be sent again.',
      { headers: { 'Retry-After': RETRY_AFTER_SECONDS }, cause: error },
    );
  }
  return internal(error);
}

/** Status of an error that Nest or Fastify made of a request; undefined for any other. */
function frameworkStatusOf(error: unknown): number | undefined {
  if (error instanceof HttpException) return error.getStatus();
  if (!(error instanceof Error) || !('statusCode' in error) || !('code' in error)) return undefined;
  const isFastify = String(error.code).startsWith('FST_');
  return isFastify && typeof error.statusCode === 'number' ? error.statusCode : undefined;
}

function fromFramework(error: unknown, status: number, request: FailedRequest): ProblemError {
  switch (status) {
    case 404:
      return error instanceof NotFoundException ? noSuchRoute(request) : internal(error);
    case 408:
      return new ProblemError('request_timeout', 'The request did not arrive in time.');
    case 413:
      return new ProblemError('body_too_large', 'The body is larger than this address takes.');
    case 414:
      return new ProblemError('uri_too_long', 'The address is longer than any that exists here.');
    case 415:
      return wrongContentType(request);
    case 400:
    case 406:
      return new ProblemError('malformed_request', 'The request cannot be read.', { cause: error });
    default:
      return internal(error);
  }
}

function noSuchRoute({ method, url, methodsHere }: FailedRequest): ProblemError {
  const path = url.split('?')[0] ?? url;
  if (methodsHere.length === 0 || methodsHere.includes(method)) {
    return new ProblemError('route_not_found', `There is nothing at ${path}.`);
  }
  const allow = methodsHere.join(', ');
  return new ProblemError('method_not_allowed', `${path} takes ${allow}, not ${method}.`, {
    headers: { Allow: allow },
  });
}

function wrongContentType({ url }: FailedRequest): ProblemError {
  const takes = url.startsWith('/v1/documents') ? 'multipart/form-data' : 'application/json';
  const mend = `Send ${takes}, and say so in Content-Type.`;
  return new ProblemError('unsupported_media_type', `This address takes ${takes}.`, {
    errors: [{ header: 'Content-Type', message: 'is missing or not taken here', mend }],
  });
}

function internal(cause: unknown): ProblemError {
  const detail = 'Something went wrong inside Holdfast. Quote the trace id to support.';
  return new ProblemError('internal_error', detail, { cause });
}
