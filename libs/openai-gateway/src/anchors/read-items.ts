/** What a conversation says of the one call that was sent on it. Pure. */
import type { ConversationItem } from 'openai/resources/conversations/items';
import type { ModelOutput } from '../model-call.js';

export type ItemsReading =
  /** Nothing has ended on it. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'answer'; readonly output: ModelOutput; readonly question: string }
  /** The answer was cut short. */
  | { readonly kind: 'part'; readonly text: string; readonly question: string };

/** All text parts of the model's messages, in order, as in a response; one refusal part makes the whole a refusal. */
export function readItems(items: readonly ConversationItem[]): ItemsReading {
  const all = items.flatMap((item) => (item.type === 'message' ? [item] : []));
  const messages = all.filter(({ role }) => role === 'assistant');
  if (messages.length === 0) return { kind: 'empty' };
  const parts = messages.flatMap(({ content }) => content);
  const question = all
    .flatMap(({ content }) => content)
    .map((part) => (part.type === 'input_text' ? part.text : ''))
    .join('');
  const refusal = parts.find((part) => part.type === 'refusal');
  if (refusal !== undefined)
    return { kind: 'answer', output: { kind: 'refusal', text: refusal.refusal }, question };
  const text = parts.map((part) => (part.type === 'output_text' ? part.text : '')).join('');
  if (messages.some(({ status }) => status === 'incomplete'))
    return { kind: 'part', text, question };
  if (messages.some(({ status }) => status === 'in_progress')) return { kind: 'empty' };
  return { kind: 'answer', output: { kind: 'text', text }, question };
}
