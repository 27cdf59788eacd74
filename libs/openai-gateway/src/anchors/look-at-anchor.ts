/**
 * Asks the conversation that a call was sent on what became of the call.
 *
 * (A1) What stands in it is the answer, although nobody has seen the response's id.
 * (A2) Nothing stands in it, and the call's own time is over: it is deleted, directly after the look. `locked`: the call still runs.
 *      Deleted: no response runs on it, and none ever will, so whoever is late with that sending is refused by OpenAI.
 * (A3) Between look and removal the call may end; so a look that took long is repeated before anything is removed.
 * (A4) Whatever else goes wrong says nothing of the call.
 */
import type { Told } from '../openai/openai-endpoint.js';
import type { OpenAiEndpoint } from '../openai/openai-endpoint.js';
import { type ItemsReading, readItems } from './read-items.js';

export type AnchorWord =
  | Exclude<ItemsReading, { kind: 'empty' }>
  /** It never ran to an end, and cannot begin any more (A2). */
  | { readonly kind: 'never_taken' }
  /** Nothing yet. */
  | { readonly kind: 'not_yet' }
  /** (A2) */
  | { readonly kind: 'running' }
  /** (A4) */
  | { readonly kind: 'unclear' };

/** (A3) */
const maxLookMs = 2_000;

export interface AnchorLook {
  readonly anchor: string;
  /** The call's own time is over, or nobody waits for it any more. */
  readonly mayDelete: boolean;
}

export interface LookParts {
  readonly endpoint: Pick<OpenAiEndpoint, 'listItems' | 'deleteConversation'>;
  /** One request. */
  readonly timeoutMs: number;
  readonly monotonicMs: () => number;
}

export async function lookAtAnchor(
  { anchor, mayDelete }: AnchorLook,
  { endpoint, timeoutMs, monotonicMs }: LookParts,
): Promise<AnchorWord> {
  const askedAtMs = monotonicMs();
  const items = await endpoint.listItems(anchor, { timeoutMs });
  const isGone = isNotFound(items);
  if (items.kind !== 'answered' && !isGone) return { kind: 'unclear' };
  const reading = items.kind === 'answered' ? readItems(items.value) : ({ kind: 'empty' } as const);
  if (reading.kind !== 'empty') return reading; // (A1)
  if (!mayDelete) return { kind: 'not_yet' };
  if (isGone) return { kind: 'never_taken' }; // its removal was not written down
  if (monotonicMs() - askedAtMs > maxLookMs) return { kind: 'unclear' }; // (A3)
  const removal = await endpoint.deleteConversation(anchor, { timeoutMs });
  if (removal.kind === 'answered' || isNotFound(removal)) return { kind: 'never_taken' };
  return { kind: isLocked(removal) ? 'running' : 'unclear' };
}

/** OpenAI's own word that there is no such conversation. */
export const isNotFound = (told: Told<unknown>): boolean =>
  told.kind === 'refused' && told.status === 404 && told.isOpenAis;

/** Seen with 400 and with 409. */
const isLocked = (told: Told<unknown>): boolean =>
  told.kind === 'refused' && (told.code === 'conversation_locked' || told.status === 409);
