import type { NestFastifyApplication } from '@nestjs/platform-fastify';

type Fastify = ReturnType<ReturnType<NestFastifyApplication['getHttpAdapter']>['getInstance']>;

/** Where reading stops, with Fastify's own 413. What is too large for a webhook is answered earlier, by the route. */
const BODY_LIMIT_BYTES = 1024 * 1024;

/** Bodies come to the handler as text, unread: a signature is over the bytes as they were sent. */
export function takeRawBodies(http: Fastify): void {
  http.removeAllContentTypeParsers();
  const options = { parseAs: 'string', bodyLimit: BODY_LIMIT_BYTES } as const;
  http.addContentTypeParser('*', options, (_request, body, done) => done(null, body));
}
