import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { problemKinds, problemTypeOf, type ProblemBody } from '#libs/contracts';
import type { FieldLog } from '#libs/process';
import type { ProblemError } from './problem-error.js';
import type { RouteTable } from './route-table.js';
import { toProblem } from './to-problem.js';

/** Answers every error of every request as RFC 9457 problem+json. A stack goes to the log, never over the wire. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly routes: RouteTable,
    private readonly log: FieldLog,
  ) {}

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
    const level = problem.code === 'internal_error' ? 'error' : 'warn';
    const { code, cause: error = problem } = problem;
    const { method, id: traceId } = request;
    const route = request.routeOptions.url; // the pattern: an address may hold anything
    this.log[level]({ code, method, route, traceId, error }, 'a request failed');
  }
}

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

export function sendProblem(reply: FastifyReply, problem: ProblemError, traceId: string): void {
  void reply
    .code(problem.status)
    .headers(problem.headers)
    .type(PROBLEM_TYPE)
    .send(JSON.stringify(problemBodyOf(problem, traceId)));
}

export function problemBodyOf(problem: ProblemError, traceId: string): ProblemBody {
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
