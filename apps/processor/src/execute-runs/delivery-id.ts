/**
 * The name of an effect, made from what it is for, so that whoever takes over a run computes the same one, and the receiver
 * can tell a repeat. UUIDv5 (RFC 9562, section 5.5) of tenant, run and step. A redrive changes nothing about it: what is sent
 * then may have been taken before.
 */
import { v5 } from 'uuid';

/** Holdfast's own namespace for effects. Never change it: effects in flight would be done twice. */
const namespace = '3d0f1c52-8a67-4a3e-9f0e-6c1b2b7f4d95';

export function effectIdOf(effect: {
  readonly tenant: string;
  readonly runId: string;
  readonly step: number;
}): string {
  return v5(JSON.stringify([effect.tenant, effect.runId.toLowerCase(), effect.step]), namespace);
}

/** As the receiver sees it, in `webhook-id`. */
export function deliveryIdOf(effectId: string): string {
  return `dlv_${effectId}`;
}
