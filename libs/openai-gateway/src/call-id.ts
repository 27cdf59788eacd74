/**
 * The name of a model call, made from what it is for, so that whoever takes over a run computes the same one and finds
 * what was already sent. UUIDv5 (RFC 9562, section 5.5) of tenant, run, step, item and try.
 */
import { v5 } from 'uuid';
import type { ModelCallRequest } from './model-call.js';

/** Holdfast's own namespace for call ids. Never change it: calls in flight would be lost and paid again. */
const namespace = '6f0b6a7e-5d0c-4b53-9a55-0d5b7a3c2f41';

export type CallIdentity = Pick<ModelCallRequest, 'tenant' | 'runId' | 'step' | 'item' | 'try'>;

export function callIdOf(call: CallIdentity): string {
  // JSON, not a joined string: no tenant's name can run into its neighbour.
  return v5(
    JSON.stringify([call.tenant, call.runId.toLowerCase(), call.step, call.item, call.try]),
    namespace,
  );
}
