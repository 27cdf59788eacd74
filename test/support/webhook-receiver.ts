/**
 * Real: an HTTP server on this machine that takes webhooks, checks their signature with the library of Standard Webhooks, and counts
 * them. What it does with the next ones is scripted: each script is used once, the last one that is left for ever. Or it is drawn.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';

export type Behaviour =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: string;
    }
  /** The request is read, then the connection is cut without a word. */
  | { readonly kind: 'reset' }
  /** Never a word; the connection stays. */
  | { readonly kind: 'hang' }
  /** A status, part of a body, then the connection is cut. */
  | { readonly kind: 'cut'; readonly status: number }
  /** A status at once, then a byte now and then, for ever. */
  | { readonly kind: 'drip'; readonly status: number }
  /** A body without end. */
  | { readonly kind: 'huge'; readonly status: number };

export interface ReceivedWebhook {
  readonly deliveryId: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly isSigned: boolean;
  /** False: it was turned away, with 429, or with 503 and when to come back. */
  readonly taken: boolean;
}

export const receiverSecret = `whsec_${Buffer.alloc(32, 'holdfast').toString('base64')}`;

export class WebhookReceiver {
  readonly received: ReceivedWebhook[] = [];
  private readonly script: Behaviour[] = [];
  private draw: () => Behaviour = () => ({ kind: 'answer', status: 204 });
  private readonly stopped = new AbortController();

  private constructor(
    private readonly server: ReturnType<typeof createServer>,
    readonly url: string,
  ) {}

  static async open(): Promise<WebhookReceiver> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const receiver = new WebhookReceiver(server, `http://127.0.0.1:${port}`);
    server.on('request', (request, response) => void receiver.take(request, response));
    return receiver;
  }

  next(...behaviours: readonly Behaviour[]): void {
    this.script.push(...behaviours);
  }

  /** Where nothing is scripted. */
  always(draw: () => Behaviour): void {
    this.draw = draw;
  }

  /** Forgets what is scripted. */
  behaveAgain(): void {
    this.script.length = 0;
  }

  /** How often each message of the run came, by delivery id. */
  deliveriesOf(runId: string): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { deliveryId, body } of this.received)
      if (body.includes(runId)) counts[deliveryId] = (counts[deliveryId] ?? 0) + 1;
    return counts;
  }

  async close(): Promise<void> {
    this.stopped.abort();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await textOf(request);
    if (body === null) return; // its sender died in the middle of it
    const behaviour =
      (this.script.length > 1 ? this.script.shift() : this.script[0]) ?? this.draw();
    const deliveryId = String(request.headers['webhook-id']);
    const isSigned = isSignedBy(receiverSecret, body, request.headers);
    const path = request.url ?? '';
    const taken = !isTurnedAway(behaviour);
    this.received.push({ deliveryId, path, headers: request.headers, body, isSigned, taken });
    this.behave(behaviour, response);
  }

  private behave(behaviour: Behaviour, response: ServerResponse): void {
    switch (behaviour.kind) {
      case 'answer':
        response.writeHead(behaviour.status, behaviour.headers).end(behaviour.body);
        return;
      case 'reset':
        response.socket?.resetAndDestroy();
        return;
      case 'hang':
        return;
      case 'cut':
        response.writeHead(behaviour.status, { 'content-length': '1000' });
        response.write('half an ans', () => response.socket?.resetAndDestroy());
        return;
      case 'drip':
        response.writeHead(behaviour.status).flushHeaders();
        repeat(() => response.write('.'), response, this.stopped.signal);
        return;
      case 'huge':
        response.writeHead(behaviour.status).flushHeaders();
        repeat(() => response.write('x'.repeat(65_536)), response, this.stopped.signal);
        return;
    }
  }
}

function repeat(write: () => void, response: ServerResponse, signal: AbortSignal): void {
  const timer = setInterval(write, 20);
  const stop = () => clearInterval(timer);
  response.once('close', stop);
  signal.addEventListener('abort', stop, { once: true });
}

function isTurnedAway(behaviour: Behaviour): boolean {
  if (behaviour.kind !== 'answer') return false;
  const { status, headers = {} } = behaviour;
  return status === 429 || (status === 503 && 'retry-after' in headers);
}

/** null: it broke off. */
async function textOf(request: IncomingMessage): Promise<string | null> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of request) pieces.push(piece as Buffer);
  } catch {
    return null;
  }
  return Buffer.concat(pieces).toString('utf8');
}

function isSignedBy(secret: string, body: string, headers: IncomingMessage['headers']): boolean {
  try {
    new Webhook(secret).verify(body, headers as Record<string, string>);
    return true;
  } catch {
    return false;
  }
}
