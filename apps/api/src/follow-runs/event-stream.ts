import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Answers with a stream of frames until it ends by itself or the client goes, which fires the signal. */
export function sendEventStream(
  request: FastifyRequest,
  reply: FastifyReply,
  framesUntil: (gone: AbortSignal) => AsyncIterable<string>,
): void {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  void reply.headers({
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-cache, no-transform',
    'X-Accel-Buffering': 'no',
  });
  if (request.method === 'HEAD') void reply.send();
  else void reply.send(Readable.from(framesUntil(gone.signal)));
}
