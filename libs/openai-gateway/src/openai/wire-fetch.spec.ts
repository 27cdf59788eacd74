/** Real: undici and sockets on this machine. Stands in: servers that answer, stay silent, hang up or are not there. */
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { clientRequestIdHeader, type Wire, WireFetch } from './wire-fetch.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function listen(server: Server | HttpServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A TCP server that does one thing with every connection. */
const tcpServer = (onConnection: (socket: Socket) => void) =>
  listen(
    createServer((socket) => {
      closers.push(() => socket.destroy());
      socket.on('error', () => undefined);
      onConnection(socket);
    }),
  );

function aWireFetch(options = {}): WireFetch {
  const wireFetch = new WireFetch(options);
  closers.push(() => wireFetch.close());
  return wireFetch;
}

let ids = 0;
/** One POST, and what the wire saw of it; the error is given back, not thrown. */
async function post(wireFetch: WireFetch, url: string, signal?: AbortSignal) {
  const id = `request-${(ids += 1)}`;
  return wireFetch.watch(id, async (wire: Wire) => {
    const headers = { [clientRequestIdHeader]: id };
    const init = { method: 'POST', headers, body: '{"input":"x"}', ...(signal && { signal }) };
    try {
      const response = await wireFetch.fetch(url, init);
      return { wire, text: await response.text(), response, error: null };
    } catch (error) {
      return { wire, text: null, response: null, error };
    }
  });
}

describe('nothing left', () => {
  it('when nobody listens', async () => {
    const server = createServer();
    const port = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    const { wire, error } = await post(aWireFetch(), `http://127.0.0.1:${port}/`);
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
    expect(wire.requestLeft).toBe(false);
  });

  it('when the TLS set-up never ends and the call is aborted, which ends it at once', async () => {
    const call = new AbortController();
    let abortedAt = Infinity;
    const port = await tcpServer((socket) =>
      socket.once('data', () => {
        abortedAt = performance.now();
        call.abort();
      }),
    );
    const { wire, error } = await post(aWireFetch(), `https://127.0.0.1:${port}/`, call.signal);
    expect(error).toBeTruthy();
    expect(wire.requestLeft).toBe(false);
    expect(performance.now() - abortedAt).toBeLessThan(2_000);
  });

  it('when the TLS set-up is hung up on', async () => {
    const port = await tcpServer((socket) => socket.destroy());
    const { wire } = await post(aWireFetch(), `https://127.0.0.1:${port}/`);
    expect(wire.requestLeft).toBe(false);
  });

  it('when the request waits behind another for the only socket, and is aborted: nor later', async () => {
    let arrived = 0;
    let onArrival = (): void => undefined;
    const port = await tcpServer((socket) =>
      socket.on('data', () => {
        arrived += 1;
        onArrival();
      }),
    );
    const wireFetch = aWireFetch({ maxConnections: 1 });
    const send = ({ signal }: AbortController) =>
      post(wireFetch, `http://127.0.0.1:${port}/`, signal);
    const [one, two, three] = [1, 2, 3].map(() => new AbortController());
    const hasArrived = new Promise<void>((resolve) => (onArrival = resolve));
    const first = send(one!);
    await hasArrived;
    const second = send(two!);
    await new Promise((resolve) => setImmediate(resolve)); // it stands behind the first
    two!.abort();
    expect((await second).wire.requestLeft).toBe(false);
    one!.abort();
    expect((await first).wire.requestLeft).toBe(true);
    onArrival = () => three!.abort();
    expect((await send(three!)).wire.requestLeft).toBe(true); // the socket was free again
    expect(arrived).toBe(2);
  });

  it('when the call is aborted before it starts', async () => {
    const port = await tcpServer(() => undefined);
    const { wire } = await post(aWireFetch(), `http://127.0.0.1:${port}/`, AbortSignal.abort());
    expect(wire.requestLeft).toBe(false);
  });
});

describe('the request left', () => {
  it.each<[string, (socket: Socket, abort: () => void) => void]>([
    [
      'and the connection is reset',
      (socket) => socket.once('data', () => socket.resetAndDestroy()),
    ],
    ['and the connection is closed', (socket) => socket.once('data', () => socket.end())],
    [
      'and half an answer comes',
      (socket) => socket.once('data', () => socket.end('HTTP/1.1 200 O')),
    ],
    [
      'and no answer comes until it is aborted',
      (socket, abort) => socket.once('data', () => abort()),
    ],
  ])('%s', async (_, onConnection) => {
    const call = new AbortController();
    const port = await tcpServer((socket) => onConnection(socket, () => call.abort()));
    const { wire, error } = await post(aWireFetch(), `http://127.0.0.1:${port}/`, call.signal);
    expect(error).toBeTruthy();
    expect(wire).toMatchObject({ requestLeft: true, answer: null });
  });

  it('and the body is cut: the status is known, the text is not', async () => {
    const port = await tcpServer((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"id"')),
    );
    const { wire, error } = await post(aWireFetch(), `http://127.0.0.1:${port}/`);
    expect(error).toBeTruthy();
    expect(wire).toMatchObject({ requestLeft: true, answer: { status: 200 } });
  });
});

it('gives the SDK status, headers and text', async () => {
  const port = await listen(
    createHttpServer((request, response) => {
      request.resume().on('end', () => {
        response.setHeader('set-cookie', ['a=1', 'b=2']);
        response.writeHead(429, { 'x-request-id': 'req_1' }).end(request.headers['content-type']);
      });
    }),
  );
  const { response, text, wire } = await post(aWireFetch(), `http://127.0.0.1:${port}/`);
  expect(response).toMatchObject({ status: 429, ok: false });
  expect(response?.headers.get('x-request-id')).toBe('req_1');
  expect(response?.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
  expect(wire.answer?.status).toBe(429);
  expect(text).toBe('');
});

it('tells requests that run side by side apart', async () => {
  const port = await tcpServer((socket) => socket.once('data', () => socket.destroy()));
  const wireFetch = aWireFetch();
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      post(wireFetch, `http://127.0.0.1:${index % 2 === 0 ? port : 1}/`),
    ),
  );
  expect(results.map(({ wire }) => wire.requestLeft)).toEqual(
    Array.from({ length: 20 }, (_, index) => index % 2 === 0),
  );
});
