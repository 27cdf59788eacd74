/**
 * Sends one message to one receiver, once: it makes no second try of its own.
 *
 * (H1) The receiver's name is looked up once; every address of it is looked at, and the connection goes to one of them and to
 *      no other (find-addresses.ts).
 * (H2) On the open connection, before its first byte, the caller is asked whether it may still leave.
 * (H3) Whether a request left is known from undici's `undici:client:sendHeaders`, which it publishes just before the first byte
 *      goes into a connected socket: no publication, no byte. In doubt it has left.
 * (H4) Every wait has an end: look-up, connection, headers, body, and all of it together.
 * (H5) A redirect is an answer like any other, and is not followed.
 * (H6) Of an answer's body the first 2 KB are read. Its status is what counts: a body that is cut, slow or huge changes nothing.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { lookup as systemLookup } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import { buildConnector, Client, type Dispatcher } from 'undici';
import { findAddresses, type Address, type Lookup } from './find-addresses.js';
import { readRetryAfterMs } from './read-retry-after.js';
import { signDelivery } from './sign-delivery.js';

export interface WebhookTarget {
  readonly name: string;
  readonly url: URL;
  /** `whsec_…`: see {@link isSigningSecret}. */
  readonly secret: string;
}

export interface Delivery {
  /** The same for every sending. */
  readonly deliveryId: string;
  readonly body: Buffer;
}

export interface WebhookTiming {
  /** Default 5,000; for the look-up of the name, and once more for TCP and TLS. */
  readonly connectMs: number;
  /** Default 10,000: from the request to the answer's headers. */
  readonly headersMs: number;
  /** Default 5,000: between two pieces of the answer's body, and for all of it. */
  readonly bodyMs: number;
}

export interface WebhookSenderOptions {
  readonly privateAddresses: 'refused' | 'allowed';
  readonly timing?: Partial<WebhookTiming>;
  /** Default: as the system does it. */
  readonly lookup?: Lookup;
}

/** A target whose addresses were looked at. */
export interface Route {
  readonly kind: 'route';
  readonly target: WebhookTarget;
  readonly addresses: readonly Address[];
}

/** There is nowhere to send it to: none of the addresses may be used, or the name has none. */
export type NoRoute =
  | { readonly kind: 'refused'; readonly because: 'address_refused' | 'not_https' }
  | { readonly kind: 'not_found'; readonly cause: string };

export type WebhookReply =
  /** The caller said that it may not leave any more: it did not. */
  | { readonly kind: 'called_off' }
  | {
      readonly kind: 'no_answer';
      /** False: no byte of it has left. */
      readonly requestLeft: boolean;
      readonly timedOut: boolean;
      /** A code, as in `ECONNRESET`. */
      readonly cause: string;
    }
  | {
      readonly kind: 'answered';
      readonly status: number;
      /** A minimum. */
      readonly retryAfterMs: number | null;
      /** Its first bytes, 2 KB at most. For support; it may say anything. */
      readonly answer: Buffer;
    };

const MAX_ANSWER_BYTES = 2_048;

export class WebhookSender {
  private readonly timing: WebhookTiming;
  private readonly lookup: Lookup;

  constructor(private readonly options: WebhookSenderOptions) {
    this.timing = { connectMs: 5_000, headersMs: 10_000, bodyMs: 5_000, ...options.timing };
    this.lookup = options.lookup ?? ((host) => systemLookup(host, { all: true }));
  }

  /** Where to (H1); or why not. Nothing leaves but the look-up. */
  async routeTo(target: WebhookTarget): Promise<Route | NoRoute> {
    const { connectMs: timeoutMs } = this.timing;
    const { privateAddresses } = this.options;
    const found = await findAddresses(target.url, {
      ...{ privateAddresses, timeoutMs, lookup: this.lookup },
    });
    return found.kind === 'found' ? { kind: 'route', target, addresses: found.addresses } : found;
  }

  /** @param mayLeave asked on the open connection (H2) */
  async send(route: Route, delivery: Delivery, mayLeave: () => boolean): Promise<WebhookReply> {
    const { url, secret } = route.target;
    const { connectMs, headersMs, bodyMs } = this.timing;
    const wire = new Wire(route.addresses, connectMs, mayLeave);
    const client = new Client(url.origin, {
      connect: wire.connect,
      headersTimeout: headersMs,
      bodyTimeout: bodyMs,
    });
    try {
      const answer = await client.request({
        method: 'POST',
        path: url.pathname + url.search,
        headers: {
          ...signDelivery(delivery.deliveryId, delivery.body, secret, Date.now()),
          'content-type': 'application/json',
          'user-agent': 'holdfast',
        },
        body: delivery.body,
        signal: AbortSignal.timeout(connectMs + headersMs + bodyMs), // (H4)
      });
      return {
        kind: 'answered',
        status: answer.statusCode, // (H5)
        retryAfterMs: readRetryAfterMs(answer.headers['retry-after'], Date.now()),
        answer: await firstBytes(answer.body),
      };
    } catch (error) {
      if (wire.calledOff) return { kind: 'called_off' };
      return { kind: 'no_answer', requestLeft: wire.requestLeft, ...causeOf(error) };
    } finally {
      wire.close();
      await client.destroy();
    }
  }
}

/** One connection, and a witness of what goes over it. */
class Wire {
  /** (H3) Set before the first byte, and never reset. */
  requestLeft = false;
  calledOff = false;
  private socket: unknown = null;

  constructor(
    private readonly addresses: readonly Address[],
    private readonly connectMs: number,
    private readonly mayLeave: () => boolean,
  ) {
    subscribe(sendHeaders, this.onSendHeaders);
  }

  close(): void {
    unsubscribe(sendHeaders, this.onSendHeaders);
  }

  readonly connect: buildConnector.connector = (options, callback) => {
    const connector = buildConnector({
      timeout: this.connectMs,
      lookup: pinnedTo(this.addresses), // (H1)
      allowH2: false, // (H3) is known of HTTP/1.1
    });
    connector(options, (...[error, socket]) => {
      if (error !== null) return callback(error, null);
      if (this.calledOff || !this.mayLeave()) {
        this.calledOff = true; // (H2)
        socket.destroy();
        return callback(new SendingCalledOffError(), null);
      }
      this.socket = socket;
      callback(null, socket);
    });
  };

  /** The channel is shared by every undici in the process: trust nothing, throw nothing. */
  private readonly onSendHeaders = (message: unknown): void => {
    const socket = (message as { socket?: unknown } | null)?.socket;
    if (socket !== undefined && socket === this.socket) this.requestLeft = true;
  };
}

export class SendingCalledOffError extends Error {
  override readonly name = 'SendingCalledOffError';
  readonly code = 'sending_called_off';
  constructor() {
    super('the sender may not send it any more');
  }
}

const sendHeaders = 'undici:client:sendHeaders';

/** Not asked where the host is an address itself: that is one of them already. */
function pinnedTo(addresses: readonly Address[]): LookupFunction {
  return (_host, { all }, callback) => {
    const [first] = addresses;
    if (all) callback(null, [...addresses]);
    else callback(null, first?.address ?? '', first?.family);
  };
}

/** (H6) */
async function firstBytes(body: Dispatcher.ResponseData['body']): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      pieces.push(piece);
      bytes += piece.length;
      if (bytes >= MAX_ANSWER_BYTES) break;
    }
  } catch {
    // Cut or slow: what has come is what there is.
  }
  return Buffer.concat(pieces).subarray(0, MAX_ANSWER_BYTES);
}

const TIMEOUTS: readonly string[] = [
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'TimeoutError',
];

function causeOf(error: unknown): { readonly timedOut: boolean; readonly cause: string } {
  const { code, name } = error as { code?: unknown; name?: unknown };
  const cause = [code, name].find((each) => typeof each === 'string') ?? 'unknown';
  return {
    timedOut: TIMEOUTS.some((each) => each === code || each === name),
    cause: String(cause),
  };
}
