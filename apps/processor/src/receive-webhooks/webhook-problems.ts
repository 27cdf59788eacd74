/** What is wrong with a webhook, as RFC 9457 tells it, for whoever sets the endpoint up and reads OpenAI's list of deliveries. */
import type { WebhookRefusal } from './receive-webhooks.js';

export interface WebhookProblem {
  readonly type: 'about:blank';
  readonly status: number;
  readonly title: string;
  readonly code: string;
  readonly detail: string;
}

type Row = readonly [status: number, title: string, detail: string];

const problems: Readonly<Record<WebhookRefusal, Row>> = {
  off: [
    ...([404, 'Webhooks are off'] as const),
    'Set OPENAI_WEBHOOK_SECRET to what OpenAI showed when the endpoint was made, and start the processor again.',
  ],
  too_large: [413, 'Too large', 'A webhook is a few hundred bytes; this is no webhook.'],
  signature: [
    ...([401, 'Signature does not hold'] as const),
    'The headers webhook-id, webhook-timestamp and webhook-signature must be there and sign this body with OPENAI_WEBHOOK_SECRET, or with the secret of another account in PROCESSOR_OPENAI_WEBHOOK_SECRETS.',
  ],
  outside_window: [
    ...([400, 'Too old or too new'] as const),
    'webhook-timestamp is more than 5 minutes from now. OpenAI signs every attempt anew; if this is one, compare clocks.',
  ],
  unreadable: [
    400,
    'Not an event',
    'The signature holds, but what it signs is no event that names a response.',
  ],
  not_stored: [503, 'Not stored', 'The database does not answer. Send it again.'],
};

export function webhookProblem(code: WebhookRefusal): WebhookProblem {
  const [status, title, detail] = problems[code];
  return { type: 'about:blank', status, title, code: `webhook_${code}`, detail };
}
