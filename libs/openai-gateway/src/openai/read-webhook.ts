/**
 * What came to the webhook route: OpenAI's own word about a response, or something that is not. Signatures as in Standard
 * Webhooks (https://www.standardwebhooks.com), checked by OpenAI's SDK; nothing is read of a body before its signature holds.
 */
import OpenAI, { InvalidWebhookSignatureError } from 'openai';

/** One value each, as HTTP gives them: names in lower case. */
export type WebhookHeaders = Readonly<Record<string, string | string[] | undefined>>;

export type WebhookReading =
  /** A background response has come to its end. */
  | {
      readonly kind: 'response_ended';
      /** Names the delivery: repeats of it have the same. */
      readonly webhookId: string;
      readonly type: string;
      readonly responseId: string;
      /** Whose secret signed it. */
      readonly account: string;
    }
  /** OpenAI's, about something else. */
  | { readonly kind: 'other'; readonly webhookId: string }
  | {
      readonly kind: 'refused';
      /** `unreadable`: the signature holds, but what it signs is no event. */
      readonly because: 'signature' | 'outside_window' | 'unreadable';
    };

/** How old, or how far ahead, a delivery may be. It bounds replays of what was once signed. */
const windowMs = 300_000;

const endings: readonly unknown[] = [
  'response.completed',
  'response.failed',
  'response.incomplete',
  'response.cancelled',
];

/**
 * @param body exactly the bytes that came, as text
 * @param secrets by account
 */
export async function readWebhook(
  body: string,
  headers: WebhookHeaders,
  secrets: ReadonlyMap<string, string>,
  nowMs: number,
): Promise<WebhookReading> {
  const names = ['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const;
  const [webhookId, timestamp, signature] = names.map((name) => headers[name]);
  const isSigned =
    isName(webhookId) && typeof signature === 'string' && /^\d{1,12}$/.test(String(timestamp));
  if (!isSigned) return { kind: 'refused', because: 'signature' };
  const given = { [names[0]]: webhookId, [names[1]]: String(timestamp), [names[2]]: signature };
  for (const [account, secret] of secrets)
    try {
      const event: unknown = await verifier.webhooks.unwrap(body, given, secret, windowMs / 1_000);
      return readEvent(event, webhookId, account);
    } catch (error) {
      if (error instanceof SyntaxError) return { kind: 'refused', because: 'unreadable' };
      if (!(error instanceof InvalidWebhookSignatureError)) throw error;
    }
  const isOff = Math.abs(nowMs - Number(timestamp) * 1_000) > windowMs;
  return { kind: 'refused', because: isOff ? 'outside_window' : 'signature' };
}

function readEvent(event: unknown, webhookId: string, account: string): WebhookReading {
  const { type, data } = (event ?? {}) as { type?: unknown; data?: { id?: unknown } };
  if (typeof type !== 'string') return { kind: 'refused', because: 'unreadable' };
  if (!endings.includes(type)) return { kind: 'other', webhookId };
  const responseId = data?.id;
  if (!isName(responseId)) return { kind: 'refused', because: 'unreadable' };
  return { kind: 'response_ended', webhookId, type, responseId, account };
}

const isName = (value: unknown): value is string =>
  typeof value === 'string' && /^[\x21-\x7e]{1,200}$/.test(value);

/** Only checks: no request is ever made with it, so it has no key to send. */
const verifier = new OpenAI({
  ...{ apiKey: 'checks-webhooks-only', baseURL: 'http://127.0.0.1:9', logLevel: 'off' },
  ...{ adminAPIKey: null, organization: null, project: null, webhookSecret: null },
});
