/** Real: HTTP over a socket. Stands in: a server that sends what the spec says. */
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseEvent, readEvents } from './event-stream.js';
import type { StreamedEvent } from './event-stream.js';

describe('an event stream', () => {
  let server: Server;
  let answer: (response: ServerResponse) => void;
  beforeEach(async () => {
    server = createServer((_request, response) => answer(response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  const read = async () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const events: StreamedEvent[] = [];
    for await (const event of readEvents(url, null, AbortSignal.timeout(5_000))) events.push(event);
    return events;
  };

  it('comes in pieces that know nothing of events', async () => {
    answer = (response) => {
      response.write('retry: 1000\n\nid: 1\nda');
      setImmediate(() => response.end('ta: {"a":1}\n\n: heartbeat\n\nid: 2\ndata: x\n\n'));
    };
    expect(await read()).toEqual([
      { id: '1', data: '{"a":1}' },
      { id: '2', data: 'x' },
    ]);
  });

  it('that breaks gives what had arrived, and ends', async () => {
    answer = (response) => {
      response.write('id: 1\ndata: x\n\nid: 2\ndata: lo', () => response.destroy());
    };
    expect(await read()).toEqual([{ id: '1', data: 'x' }]);
  });

  it('joins lines of data, and keeps colons in them', () => {
    expect(parseEvent('event: a\ndata: one: 1\ndata: two')).toEqual({
      id: null,
      data: 'one: 1\ntwo',
    });
    expect(parseEvent(': heartbeat')).toBeUndefined();
  });
});
