/**
 * Takes one delivery of OpenAI's: checked, written down, answered. Work on it comes later: OpenAI waits for the answer, and sends
 * again what is not answered with 2xx, for up to three days.
 */
import type { OpenAiGateway, WebhookHeaders } from '#libs/openai-gateway';
import type { Metrics } from '#libs/metrics';
import type { FieldLog } from '#libs/process';
import type { ToldEnd, WebhooksStore } from './webhooks.store.js';

export type Receipt =
  /** `ignored`: OpenAI's own, about nothing that concerns us. */
  'stored' | 'repeated' | 'ignored' | WebhookRefusal;

export type WebhookRefusal =
  | 'off'
  | 'too_large'
  | 'signature'
  | 'outside_window'
  | 'unreadable'
  /** The database does not answer. */
  | 'not_stored';

/** An event names a response and its end, and holds nothing of its content. */
const MAX_BYTES = 64 * 1024;

export interface ReceiveWebhooksParts {
  readonly gateway: Pick<OpenAiGateway, 'readWebhook'>;
  readonly store: WebhooksStore;
  /** There is one to work on. */
  readonly onStored: () => void;
  readonly metrics: Metrics;
  readonly log: FieldLog;
}

export class ReceiveWebhooks {
  constructor(private readonly parts: ReceiveWebhooksParts) {}

  async receive(body: string, headers: WebhookHeaders): Promise<Receipt> {
    if (Buffer.byteLength(body) > MAX_BYTES) return this.told('too_large', {});
    const read = await this.parts.gateway.readWebhook(body, headers);
    switch (read.kind) {
      case 'off':
        return this.told('off', {});
      case 'refused':
        return this.told(read.because, {});
      case 'other':
        return this.told('ignored', { webhookId: read.webhookId });
      case 'response_ended': {
        const { kind: _, ...about } = read;
        return this.told(await this.store(read), about);
      }
    }
  }

  private async store(webhook: ToldEnd): Promise<Receipt> {
    try {
      if (!(await this.parts.store.put(webhook))) return 'repeated';
    } catch (error) {
      this.parts.log.warn({ error }, 'a webhook could not be stored; OpenAI sends it again');
      return 'not_stored';
    }
    this.parts.onStored();
    return 'stored';
  }

  /** One line and one count each; of what is refused nothing is told, since anybody may have written it. */
  private told(outcome: Receipt, about: object): Receipt {
    const { log, metrics } = this.parts;
    metrics.add('holdfast_webhooks_total', { outcome });
    log[isRefusal(outcome) ? 'warn' : 'info']({ ...about, outcome }, 'webhook received');
    return outcome;
  }
}

export function isRefusal(receipt: Receipt): receipt is WebhookRefusal {
  return receipt !== 'stored' && receipt !== 'repeated' && receipt !== 'ignored';
}
