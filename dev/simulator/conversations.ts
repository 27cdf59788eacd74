/**
 * Conversations: what a response that names one leaves in it when it ends, and that only one response at a time works on it.
 *
 * (C1) While a response of a conversation is queued or in progress, a second one is refused with `conversation_locked`, and so is its
 *      removal. The first is documented; that a removal is refused, too, is how we read it.
 * (C2) Input and output stand in it from the moment its response ends as completed or incomplete; a failed or cancelled one leaves
 *      nothing.
 * (C3) What is deleted is deleted: nothing finds it, and no response begins on it.
 * (C4) With a data file nothing is forgotten over a restart.
 */
import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import type { Conversation, Message } from 'openai/resources/conversations/conversations';
import type { ConversationItemList } from 'openai/resources/conversations/items';
import type { ResponseCreateParamsNonStreaming } from 'openai/resources/responses/responses';
import { type AcceptedWork, type AcceptedWorks, statusOf } from './accepted-work.js';

export class Conversations {
  readonly #standing = new Map<string, Conversation>();
  readonly #file: string | null;

  constructor(
    private readonly works: AcceptedWorks,
    dataFile: string | null,
  ) {
    this.#file = dataFile && `${dataFile}.conversations`;
    if (this.#file !== null && existsSync(this.#file)) this.#read(readFileSync(this.#file, 'utf8'));
  }

  /** How many stand. */
  get count(): number {
    return this.#standing.size;
  }

  create(metadata: unknown, nowMs: number): Conversation {
    const conversation: Conversation = {
      id: `conv_${randomBytes(24).toString('hex')}`,
      object: 'conversation',
      created_at: Math.floor(nowMs / 1_000),
      metadata: metadata ?? {},
    };
    this.#write({ created: conversation });
    return conversation;
  }

  find(id: string): Conversation | undefined {
    return this.#standing.get(id);
  }

  /** (C1) */
  isLocked(id: string, nowMs: number): boolean {
    return this.works.ofConversation(id).some((work) => {
      const status = statusOf(work, nowMs);
      return status === 'queued' || status === 'in_progress';
    });
  }

  delete(id: string): void {
    this.#write({ deleted: id });
  }

  /** (C2) */
  items(id: string, query: URLSearchParams, nowMs: number): ConversationItemList {
    const all = this.works.ofConversation(id).flatMap((work) => itemsOf(work, nowMs));
    const ordered = query.get('order') === 'asc' ? all : all.reverse();
    const data = ordered.slice(0, Number(query.get('limit') ?? 20));
    return {
      object: 'list',
      data,
      first_id: data[0]?.id ?? '',
      last_id: data.at(-1)?.id ?? '',
      has_more: ordered.length > data.length,
    };
  }

  #read(lines: string): void {
    for (const line of lines.split('\n')) if (line !== '') this.#apply(JSON.parse(line) as Change);
  }

  /** (C4) */
  #write(change: Change): void {
    if (this.#file !== null) appendFileSync(this.#file, `${JSON.stringify(change)}\n`);
    this.#apply(change);
  }

  #apply(change: Change): void {
    if ('created' in change) this.#standing.set(change.created.id, change.created);
    else this.#standing.delete(change.deleted); // (C3)
  }
}

type Change = { readonly created: Conversation } | { readonly deleted: string };

function itemsOf(work: AcceptedWork, nowMs: number): ConversationItemList['data'] {
  const status = statusOf(work, nowMs);
  if (status !== 'completed' && status !== 'incomplete') return [];
  const input: Message = {
    type: 'message',
    id: work.id.replace('resp_', 'msg_in_'),
    role: 'user',
    status: 'completed',
    content: [{ type: 'input_text', text: textOf(work.request) }],
  };
  const output = work.result.output.flatMap((item) => (item.type === 'message' ? [item] : []));
  return [input, ...output.map((item): Message => ({ ...item, role: 'assistant' }))];
}

const textOf = ({ input }: ResponseCreateParamsNonStreaming): string =>
  typeof input === 'string' ? input : JSON.stringify(input ?? '');
