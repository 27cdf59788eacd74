/**
 * Requests that Node would refuse before any route sees them. They get a problem like any other, so that a caller has one kind of
 * refusal to read.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { PROBLEM_TYPE, problemBodyOf } from './problem.filter.js';
import { ProblemError } from './problem-error.js';

/** For Fastify's `clientErrorHandler`: bytes that are no HTTP, or too many of them. Nothing after them can be read either. */
export function answerUnreadable(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code !== 'ECONNRESET' && socket.writable) {
    const problem = problemOf(error.code ?? '');
    const body = JSON.stringify(problemBodyOf(problem, randomBytes(16).toString('hex')));
    const head = [
      `HTTP/1.1 ${problem.status} Refused`,
      `Content-Type: ${PROBLEM_TYPE}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  }
  socket.destroy(error);
}

/** https://nodejs.org/api/http.html#event-clienterror */
function problemOf(code: string): ProblemError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new ProblemError('headers_too_large', 'Address and headers are over 16 KiB.');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ProblemError('request_timeout', 'The request did not arrive in time.');
    default:
      return new ProblemError('malformed_request', 'What was sent is not an HTTP/1.1 request.');
  }
}

/** What Node refuses with an empty answer. The host must be let through by `requireHostHeader: false` to get here. */
export function answerInsteadOfNode(http: FastifyInstance): void {
  http.addHook('onRequest', (request, _reply, done) => {
    const hasHost = request.headers.host !== undefined || request.raw.httpVersion === '1.0';
    done(
      hasHost ? undefined : new ProblemError('malformed_request', 'The Host header is missing.'),
    );
  });
  // RFC 9110, 10.1.1: an expectation that is not known may be passed over.
  http.server.on('checkExpectation', (request, response) => {
    http.server.emit('request', request, response);
  });
}
