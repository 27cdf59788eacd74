import { Controller, Get, Header, Param, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { ProblemError } from '../problem-error.js';
import { asyncApiDocument } from './asyncapi.js';
import { contentSecurityPolicy, docsFile, docsPage } from './docs-page.js';
import { openApiDocument } from './openapi.js';

/** What the api says about itself, to programs and to people. The documents are those of docs/api. */
@Controller()
export class DescribeApiController {
  private readonly openApi = openApiDocument();
  private readonly asyncApi = asyncApiDocument();

  @Get('openapi.json')
  @Header('Cache-Control', 'no-cache')
  describeHttp(): object {
    return this.openApi;
  }

  @Get('asyncapi.json')
  @Header('Cache-Control', 'no-cache')
  describeKafka(): object {
    return this.asyncApi;
  }

  @Get('docs')
  page(@Res() reply: FastifyReply): void {
    void secured(reply).type('text/html; charset=utf-8').send(docsPage);
  }

  @Get('docs/:file')
  async file(@Param('file') name: string, @Res() reply: FastifyReply): Promise<void> {
    const file = await docsFile(name);
    if (!file) throw new ProblemError('route_not_found', 'The docs have no such file.');
    void secured(reply).type(file.mediaType).send(file.bytes);
  }
}

function secured(reply: FastifyReply): FastifyReply {
  return reply.headers({
    'Content-Security-Policy': contentSecurityPolicy,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-cache',
  });
}
