/** The operations on conversations that Holdfast uses, with the scripted faults. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Conversations } from './conversations.js';
import type { Fault, Operation } from './faults.js';
import { sendError, sendJson } from './send.js';

export interface ConversationParts {
  readonly conversations: Conversations;
  /** Says which fault is scripted for the request, notes it, and does it where that is all there is to do: then null. */
  readonly meet: (operation: Operation, http: IncomingMessage, reply: ServerResponse) => Met | null;
  readonly wait: (ms: number) => Promise<void>;
}

/** A request that goes on. */
export interface Met {
  readonly fault: Fault | null;
}

type Route = readonly [method: string, pattern: RegExp, operation: Operation];
const routes: readonly Route[] = [
  ['POST', /^\/v1\/conversations$/, 'create_conversation'],
  ['GET', /^\/v1\/conversations\/([^/]+)$/, 'retrieve_conversation'],
  ['GET', /^\/v1\/conversations\/([^/]+)\/items$/, 'list_items'],
  ['DELETE', /^\/v1\/conversations\/([^/]+)$/, 'delete_conversation'],
];

/** False: not one of these. */
export async function answerConversations(
  http: IncomingMessage,
  reply: ServerResponse,
  body: () => Promise<unknown>,
  parts: ConversationParts,
): Promise<boolean> {
  const url = new URL(http.url ?? '/', 'http://simulator');
  for (const [method, pattern, operation] of routes) {
    const found = pattern.exec(url.pathname);
    if (found === null || http.method !== method) continue;
    const asked = await body();
    const met = parts.meet(operation, http, reply);
    if (met === null) return true;
    if (met.fault?.kind === 'hang') await parts.wait(met.fault.ms);
    const [, id = ''] = found;
    answer(operation, id, { asked, query: url.searchParams, fault: met.fault }, reply, parts);
    return true;
  }
  return false;
}

interface Asked {
  readonly asked: unknown;
  readonly query: URLSearchParams;
  readonly fault: Fault | null;
}

function answer(
  operation: Operation,
  id: string,
  { asked, query, fault }: Asked,
  reply: ServerResponse,
  { conversations }: ConversationParts,
): void {
  const now = Date.now();
  const done = (value: object) =>
    fault?.kind === 'reset_after_charge' ? reply.destroy() : sendJson(reply, 200, value);
  if (operation === 'create_conversation') {
    const { metadata } = (asked ?? {}) as { metadata?: unknown };
    return void done(conversations.create(metadata, now));
  }
  const found = conversations.find(id);
  if (found === undefined) return sendNoConversation(reply, id);
  if (operation === 'retrieve_conversation') return void done(found);
  if (operation === 'list_items') return void done(conversations.items(id, query, now));
  if (conversations.isLocked(id, now)) return sendLocked(reply);
  conversations.delete(id);
  done({ id, object: 'conversation.deleted', deleted: true });
}

export const sendNoConversation = (reply: ServerResponse, id: string): void =>
  sendError(reply, 404, { code: null, message: `Conversation with id '${id}' not found.` });

export const sendLocked = (reply: ServerResponse): void =>
  sendError(reply, 400, {
    code: 'conversation_locked',
    message: 'Another process is currently operating on this conversation. Please retry.',
  });
