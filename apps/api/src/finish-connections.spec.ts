import { once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { finishConnections } from './finish-connections.js';

/** A server that is answering one request of a client that keeps its connection. */
async function answering() {
  const began = Promise.withResolvers<ServerResponse>();
  const server = createServer((_request, response) => {
    response.write('first half');
    began.resolve(response);
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const agent = new Agent({ keepAlive: true });
  const { port } = server.address() as AddressInfo;
  const request = get({ port, host: '127.0.0.1', agent });
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  answer.on('error', () => undefined).resume();
  const answered = once(answer, 'close');
  answered.catch(() => undefined); // cut short on purpose in the second spec
  const closed = once(server, 'close').then(() => true);
  server.close();
  return { server, agent, closed, response: await began.promise, answered };
}

async function isWithin(limitMs: number, closed: Promise<boolean>): Promise<boolean> {
  const late = new AbortController();
  const tooLate = sleep(limitMs, false, { signal: late.signal });
  return Promise.race([closed, tooLate]).finally(() => late.abort());
}

it('a connection that was answering when the server closed ends with its answer, not with its keep-alive', async () => {
  const { server, agent, closed, response, answered } = await answering();
  const finished = finishConnections(server, 60_000);
  response.end('second half');
  await answered;
  expect(await isWithin(2_000, closed)).toBe(true);
  finished();
  agent.destroy();
});

it('an answer that never ends is cut when the grace is over', async () => {
  const { server, agent, closed } = await answering();
  const finished = finishConnections(server, 100);
  expect(await isWithin(2_000, closed)).toBe(true);
  finished();
  agent.destroy();
});
