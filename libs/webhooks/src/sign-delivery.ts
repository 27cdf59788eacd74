/** Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
import { Webhook } from 'standardwebhooks';

/** `whsec_` and 24 to 64 random bytes in base64, as the specification asks for. */
export function isSigningSecret(text: string): boolean {
  const [, base64] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? [];
  if (base64 === undefined || base64.length % 4 !== 0) return false;
  const { length } = Buffer.from(base64, 'base64');
  return length >= 24 && length <= 64;
}

export interface SignedHeaders {
  readonly 'webhook-id': string;
  /** Whole seconds, of this sending. */
  readonly 'webhook-timestamp': string;
  /** `v1,` and the HMAC-SHA256 over id, timestamp and body. */
  readonly 'webhook-signature': string;
}

/** @param nowMs of this sending: a receiver refuses what is older than some minutes, so a repeat is signed anew */
export function signDelivery(
  deliveryId: string,
  body: Buffer,
  secret: string,
  nowMs: number,
): SignedHeaders {
  return {
    'webhook-id': deliveryId,
    'webhook-timestamp': String(Math.floor(nowMs / 1_000)),
    'webhook-signature': new Webhook(secret).sign(deliveryId, new Date(nowMs), body),
  };
}
