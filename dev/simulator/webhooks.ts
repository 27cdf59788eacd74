/**
 * Webhooks as OpenAI sends them: signed as in Standard Webhooks, once per background response that has ended, and again, each time
 * signed anew, while they are not answered with 2xx. Off until somebody orders them; what is scripted goes for all from then on.
 * Those that are to come when the simulator ends are lost.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ResponseStatus } from 'openai/resources/responses/responses';

export interface WebhookOrder {
  readonly url: string;
  /** `whsec_` and base64. */
  readonly secret: string;
  /** Deliveries of each, all of one id. Default 1; 0: none is sent. */
  readonly copies?: number;
  /** So long after the end of the response. Default 0. */
  readonly delayMs?: number;
  /** Signed with another secret. Default: no. */
  readonly forged?: boolean;
}

export interface SentWebhook {
  readonly webhookId: string;
  readonly type: string;
  readonly responseId: string;
  /** null: nobody answered. */
  readonly status: number | null;
}

const maxTries = 20;
const firstPauseMs = 100;
const maxPauseMs = 3_000;
const answerLimitMs = 10_000;

export class Webhooks {
  /** Every delivery that was tried. */
  readonly sent: SentWebhook[] = [];
  #order: WebhookOrder | null = null;
  readonly #stop = new AbortController();

  /** From now on, for every response that ends; null: none any more. */
  order(order: WebhookOrder | null): void {
    this.#order = order;
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Never rejects. */
  async tell(responseId: string, status: ResponseStatus): Promise<void> {
    const order = this.#order;
    if (order === null) return;
    const webhookId = `wh_${randomBytes(16).toString('hex')}`;
    const type = `response.${status}`;
    const body = JSON.stringify({
      id: `evt_${randomBytes(16).toString('hex')}`,
      object: 'event',
      created_at: Math.floor(Date.now() / 1_000),
      type,
      data: { id: responseId },
    });
    await this.#pause(order.delayMs ?? 0);
    const copies = Array.from({ length: order.copies ?? 1 }, () =>
      this.#deliver(order, { webhookId, type, responseId }, body),
    );
    await Promise.all(copies);
  }

  async #deliver(
    { url, secret, forged = false }: WebhookOrder,
    about: Omit<SentWebhook, 'status'>,
    body: string,
  ): Promise<void> {
    const key = forged ? `whsec_${randomBytes(24).toString('base64')}` : secret;
    for (let tries = 0; tries < maxTries && !this.#stop.signal.aborted; tries += 1) {
      const headers = signWebhook(body, about.webhookId, key, Date.now());
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(answerLimitMs)]);
      const status = await post(url, headers, body, signal);
      this.sent.push({ ...about, status });
      if (status !== null && status >= 200 && status < 300) return;
      await this.#pause(Math.min(maxPauseMs, firstPauseMs * 2 ** tries));
    }
  }

  /** Ends early, without error, when the simulator stops. */
  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}

/** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
export function signWebhook(
  body: string,
  webhookId: string,
  secret: string,
  nowMs: number,
): Record<string, string> {
  const timestamp = String(Math.floor(nowMs / 1_000));
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signature = createHmac('sha256', key).update(`${webhookId}.${timestamp}.${body}`);
  return {
    'content-type': 'application/json',
    'webhook-id': webhookId,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${signature.digest('base64')}`,
  };
}

async function post(
  url: string,
  headers: Record<string, string>,
  body: string,
  signal: AbortSignal,
): Promise<number | null> {
  try {
    const answer = await fetch(url, { method: 'POST', headers, body, signal });
    await answer.arrayBuffer();
    return answer.status;
  } catch {
    return null;
  }
}

/** Parses the control route's body; an order with a mistake must fail loudly, or a test passes for the wrong reason. */
export function parseWebhookOrder(body: unknown): WebhookOrder {
  const order = (body ?? {}) as Partial<Record<keyof WebhookOrder, unknown>>;
  if (typeof order.url !== 'string' || !URL.canParse(order.url))
    throw new WebhookOrderError('url must be the address to send webhooks to');
  if (typeof order.secret !== 'string' || !order.secret.startsWith('whsec_'))
    throw new WebhookOrderError('secret must be whsec_ and base64');
  return body as WebhookOrder;
}

export class WebhookOrderError extends Error {
  readonly code = 'webhook_order_invalid';
}
