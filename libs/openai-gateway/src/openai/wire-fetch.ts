/**
 * The SDK's `fetch`, thin, over undici with an Agent of our own; and a witness of what happened on the wire.
 *
 * No error class tells whether a request left this machine, and that is the line between "safe to send again" and "may
 * have been paid". undici publishes `undici:client:sendHeaders` just before it writes a request's first byte to a connected
 * socket (TLS included): no publication, no byte.
 *
 * (W1) A request is known by its `x-client-request-id`, unique per request; the id is also what OpenAI's support searches by.
 * (W2) In doubt the request has left: `requestLeft` is set before the first byte is written, and never reset.
 * (W3) An aborted request ends at once. undici itself would let it wait for its socket first; it will not leave any more.
 * (W4) There is no time limit here (undici's own are off): the SDK's `timeout` covers headers and body, and aborts.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientOptions } from 'openai';
import { Agent, type Dispatcher, request } from 'undici';

export interface Wire {
  requestLeft: boolean;
  /** Null until an answer's headers have arrived. */
  answer: { readonly status: number; readonly headers: Headers } | null;
  /** What the transport threw, before the SDK has wrapped it. */
  error: unknown;
}

export interface WireFetchOptions {
  /** Sockets per origin. A request waits for a free one, unsent. Default 256. */
  readonly maxConnections?: number;
  /** TCP and TLS set-up. Default 10,000. */
  readonly connectTimeoutMs?: number;
}

type Fetch = NonNullable<ClientOptions['fetch']>;

export class WireFetch {
  readonly #agent: Agent;
  readonly #watched = new Map<string, Wire>();

  constructor(options: WireFetchOptions = {}) {
    this.#agent = new Agent({
      connections: options.maxConnections ?? 256,
      pipelining: 1,
      connect: { timeout: options.connectTimeoutMs ?? 10_000 },
      headersTimeout: 0, // (W4)
      bodyTimeout: 0, // (W4)
    });
    subscribe(sendHeaders, this.#onSendHeaders);
  }

  /** Runs one exchange and hands it the record of what happened to its request. */
  async watch<T>(clientRequestId: string, exchange: (wire: Wire) => Promise<T>): Promise<T> {
    const wire: Wire = { requestLeft: false, answer: null, error: null };
    this.#watched.set(clientRequestId, wire);
    try {
      return await exchange(wire);
    } finally {
      this.#watched.delete(clientRequestId);
    }
  }

  readonly fetch: Fetch = async (url, init = {}) => {
    const target = url instanceof Request ? url.url : String(url);
    const headers = Object.fromEntries(new Headers(init.headers).entries());
    const wire = this.#watched.get(headers[clientRequestIdHeader] ?? '');
    const asked = request(target, {
      method: init.method ?? 'GET',
      headers,
      body: (init.body ?? null) as string | Buffer | null,
      signal: init.signal ?? undefined,
      dispatcher: this.#agent,
    });
    const answer = await noting(wire, orAborted(asked, init.signal));
    const reply = new Reply(answer, target, wire);
    if (wire) wire.answer = { status: reply.status, headers: reply.headers };
    // The SDK reads of a Response only what Reply has; a real one would cost half of the call's CPU time.
    return reply as unknown as Response;
  };

  async close(): Promise<void> {
    unsubscribe(sendHeaders, this.#onSendHeaders);
    await this.#agent.destroy();
  }

  /** The channel is shared by every undici in the process, Node's own fetch included: trust nothing, throw nothing. */
  readonly #onSendHeaders = (message: unknown): void => {
    const sent = (message as { request?: { headers?: unknown } } | null)?.request?.headers;
    if (!Array.isArray(sent)) return;
    for (let index = 0; index + 1 < sent.length; index += 2) {
      if (sent[index] !== clientRequestIdHeader) continue;
      const wire = this.#watched.get(String(sent[index + 1])); // (W1)
      if (wire) wire.requestLeft = true; // (W2)
    }
  };
}

export const clientRequestIdHeader = 'x-client-request-id';
const sendHeaders = 'undici:client:sendHeaders';

/** (W3) */
async function orAborted<T>(asked: Promise<T>, signal?: AbortSignal | null): Promise<T> {
  if (!signal) return asked;
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([asked, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function noting<T>(wire: Wire | undefined, transport: Promise<T>): Promise<T> {
  try {
    return await transport;
  } catch (error) {
    if (wire) wire.error = error;
    throw error;
  }
}

/** As much of a Response as the SDK uses. */
class Reply {
  readonly status: number;
  readonly statusText = '';
  readonly headers = new Headers();

  constructor(
    private readonly answer: Dispatcher.ResponseData,
    readonly url: string,
    private readonly wire: Wire | undefined,
  ) {
    this.status = answer.statusCode;
    for (const [name, value] of Object.entries(answer.headers))
      for (const one of Array.isArray(value) ? value : [value])
        if (one !== undefined) this.headers.append(name, one);
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  get body(): Dispatcher.ResponseData['body'] {
    return this.answer.body;
  }

  text(): Promise<string> {
    return noting(this.wire, this.answer.body.text());
  }

  json(): Promise<unknown> {
    return noting(this.wire, this.answer.body.json());
  }
}
