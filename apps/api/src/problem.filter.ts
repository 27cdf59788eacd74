import { Catch, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { problemKinds, problemTypeOf, type ProblemBody } from '#libs/contracts';
import type { ProblemError } from './problem-error.js';
import type { RouteTable } from './route-table.js';
import { toProblem } from './to-problem.js';

/** Answers every error of every request as RFC 9457 problem+json. A stack goes to the log, never over the wire. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly log = new Logger('http');

  constructor(private readonly routes: RouteTable) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const path = request.url.split('?')[0] ?? request.url;
    const methodsHere = this.routes.methodsAt(path);
    const problem = toProblem(error, { method: request.method, url: request.url, methodsHere });

    if (problem.status >= 500) this.report(problem, request);
    if (reply.sent || reply.raw.headersSent) {
      reply.raw.destroy(); // part of an answer is out: only a broken connection still says that it failed
      return;
    }
    sendProblem(reply, problem, request.id);
  }

  private report(problem: ProblemError, request: FastifyRequest): void {
    const cause = problem.cause instanceof Error ? problem.cause : problem;
    const line = `${problem.code} on ${request.method} ${request.routeOptions.url ?? request.url} trace=${request.id}`;
    if (problem.code === 'internal_error') this.log.error(line, cause.stack);
    else this.log.warn(`${line}: ${cause.message}`);
  }
}

export function sendProblem(reply: FastifyReply, problem: ProblemError, traceId: string): void {
  void reply
    .code(problem.status)
    .headers(problem.headers)
    .type('application/problem+json; charset=utf-8')
    .send(JSON.stringify(problemBodyOf(problem, traceId)));
}

function problemBodyOf(problem: ProblemError, traceId: string): ProblemBody {
  const { title, status, retryable } = problemKinds[problem.code];
  return {
    type: problemTypeOf(problem.code),
    title,
    status,
    detail: problem.message,
    code: problem.code,
    errors: problem.errors,
    retryable,
    traceId,
    ...problem.extensions,
  };
}
