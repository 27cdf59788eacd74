/**
 * The responses that the stand-in has accepted, and what OpenAI would bill for them.
 *
 * (A1) A model execution is charged once, in the moment it is accepted; cancelled while still queued, it is not charged.
 * (A2) With a data file every change is written before it is answered, so that a restart forgets nothing.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type {
  Response,
  ResponseCreateParamsNonStreaming,
  ResponseStatus,
  ResponseUsage,
} from 'openai/resources/responses/responses';
import type { WorkResult } from './model-work.js';
import { snapshotOf, userText } from './model-work.js';

export interface AcceptedWork {
  readonly id: string;
  readonly request: ResponseCreateParamsNonStreaming;
  readonly acceptedAtMs: number;
  readonly workMs: number;
  readonly result: WorkResult;
  /** What its response says it used, where that is not what it was charged for. */
  readonly toldUsage?: unknown;
  /** The script dictated its answer. */
  readonly isSpoilt?: true;
  readonly cancelledAtMs: number | null;
}

export interface Charge {
  readonly responseId: string;
  readonly callId: string | null;
  readonly runId: string | null;
  readonly model: string;
  readonly chargedAt: string;
  /** As the response tells it at its end; null: it tells nothing (cancelled, or told wrongly). */
  readonly usage: ResponseUsage | null;
  readonly serviceTier: string;
}

/** A charged question and its answer, as texts. */
export interface Exchange {
  readonly responseId: string;
  readonly callId: string | null;
  readonly runId: string | null;
  readonly input: string;
  readonly answer: string;
  /** The script dictated the answer. */
  readonly isSpoilt: boolean;
}

export interface Charges {
  readonly total: number;
  readonly byCallId: Readonly<Record<string, number>>;
  readonly byRunId: Readonly<Record<string, number>>;
  readonly charges: readonly Charge[];
}

/** Which conversation a request belongs to; it is named by its id, or as an object. */
export function conversationOf({
  conversation,
}: Pick<ResponseCreateParamsNonStreaming, 'conversation'>): string | null {
  return typeof conversation === 'object' ? (conversation?.id ?? null) : (conversation ?? null);
}

/** The first fifth of a background response's time is spent in the queue. */
const queuedShare = 0.2;

export class AcceptedWorks {
  readonly #works = new Map<string, AcceptedWork>();
  readonly #byConversation = new Map<string, Set<string>>();
  readonly #dataFile: string | null;

  constructor(dataFile: string | null) {
    this.#dataFile = dataFile;
    if (dataFile === null) return;
    mkdirSync(dirname(dataFile), { recursive: true });
    if (existsSync(dataFile)) this.#read(readFileSync(dataFile, 'utf8'));
  }

  add(work: AcceptedWork): void {
    this.#write(work); // (A2)
    this.#keep(work);
  }

  find(id: string): AcceptedWork | undefined {
    return this.#works.get(id);
  }

  /** In the order in which they were accepted. */
  ofConversation(id: string): readonly AcceptedWork[] {
    const ids = this.#byConversation.get(id) ?? [];
    return [...ids].map((workId) => this.#works.get(workId)!);
  }

  /** Repeatable, and without effect on what has ended. */
  cancel(work: AcceptedWork, nowMs: number): AcceptedWork {
    const status = statusOf(work, nowMs);
    if (status !== 'queued' && status !== 'in_progress') return work;
    const cancelled = { ...work, cancelledAtMs: nowMs };
    this.add(cancelled);
    return cancelled;
  }

  /** Ends the oldest of those that are still worked on, so many of them, as if their time were over. */
  finish(count: number, nowMs: number): void {
    const isAtWork = (work: AcceptedWork) => {
      return work.cancelledAtMs === null && nowMs - work.acceptedAtMs < work.workMs;
    };
    for (const work of [...this.#works.values()].filter(isAtWork).slice(0, count))
      this.add({ ...work, workMs: nowMs - work.acceptedAtMs });
  }

  charges(): Charges {
    const charges = [...this.#works.values()].filter(isCharged).map(toCharge);
    return {
      total: charges.length,
      byCallId: countBy(charges, (charge) => charge.callId),
      byRunId: countBy(charges, (charge) => charge.runId),
      charges,
    };
  }

  /** Of runs that were given an answer that the script dictated. */
  spoiltExchanges(): readonly Exchange[] {
    const works = [...this.#works.values()].filter(isCharged);
    const spoilt = new Set(
      works.flatMap(({ isSpoilt, request }) => (isSpoilt ? [request.metadata?.run_id] : [])),
    );
    return works.filter(({ request }) => spoilt.has(request.metadata?.run_id)).map(toExchange);
  }

  #read(lines: string): void {
    for (const line of lines.split('\n')) {
      const work = parseLine(line);
      if (work !== null) this.#keep(work);
    }
  }

  #keep(work: AcceptedWork): void {
    this.#works.set(work.id, work);
    const conversation = conversationOf(work.request);
    if (conversation === null) return;
    const ids = this.#byConversation.get(conversation) ?? new Set();
    this.#byConversation.set(conversation, ids.add(work.id));
  }

  #write(work: AcceptedWork): void {
    if (this.#dataFile !== null) appendFileSync(this.#dataFile, `${JSON.stringify(work)}\n`);
  }
}

/** A line cut short by a kill was never answered: forget it. */
function parseLine(line: string): AcceptedWork | null {
  try {
    return JSON.parse(line) as AcceptedWork;
  } catch {
    return null;
  }
}

export function statusOf(work: AcceptedWork, nowMs: number): ResponseStatus {
  if (work.cancelledAtMs !== null) return 'cancelled';
  const ageMs = nowMs - work.acceptedAtMs;
  if (ageMs >= work.workMs) return work.result.status;
  return work.request.background === true && ageMs < work.workMs * queuedShare
    ? 'queued'
    : 'in_progress';
}

/** `output_text` is the SDK's own addition; `usage` is null until the end, and for ever in a cancelled response. */
export type ShownResponse = Omit<Response, 'output_text' | 'usage'> & {
  readonly usage: ResponseUsage | null;
};

/** The response object as `GET /v1/responses/{id}` shows it at this moment. */
export function toResponse(work: AcceptedWork, nowMs: number): ShownResponse {
  const status = statusOf(work, nowMs);
  const ended = status === 'completed' || status === 'incomplete' || status === 'failed';
  const { request, result, toldUsage } = work;
  const conversation = conversationOf(request);
  return {
    id: work.id,
    conversation: conversation === null ? null : { id: conversation },
    object: 'response',
    created_at: Math.floor(work.acceptedAtMs / 1000),
    completed_at:
      status === 'completed' ? Math.floor((work.acceptedAtMs + work.workMs) / 1000) : null,
    status,
    background: request.background ?? false,
    model: snapshotOf(request.model as string),
    instructions: typeof request.instructions === 'string' ? request.instructions : null,
    metadata: request.metadata ?? {},
    max_output_tokens: request.max_output_tokens ?? null,
    output: ended ? result.output : [],
    usage: ended ? ((toldUsage === undefined ? result.usage : toldUsage) as ResponseUsage) : null,
    error: ended ? result.error : null,
    incomplete_details: ended ? result.incompleteDetails : null,
    access_programs: null,
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    service_tier: request.service_tier ?? 'default',
    temperature: 1,
    text: request.text ?? { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    truncation: 'disabled',
  };
}

/** (A1) */
function isCharged(work: AcceptedWork): boolean {
  if (work.result.status === 'failed') return false;
  if (work.cancelledAtMs === null) return true;
  return work.cancelledAtMs - work.acceptedAtMs >= work.workMs * queuedShare;
}

const toCharge = (work: AcceptedWork): Charge => ({
  responseId: work.id,
  callId: work.request.metadata?.call_id ?? null,
  runId: work.request.metadata?.run_id ?? null,
  model: snapshotOf(work.request.model as string),
  chargedAt: new Date(work.acceptedAtMs).toISOString(),
  serviceTier: work.request.service_tier ?? 'default',
  usage: work.cancelledAtMs === null && work.toldUsage === undefined ? work.result.usage : null,
});

const toExchange = (work: AcceptedWork): Exchange => ({
  responseId: work.id,
  callId: work.request.metadata?.call_id ?? null,
  runId: work.request.metadata?.run_id ?? null,
  input: userText(work.request),
  answer: answerText(work.result),
  isSpoilt: work.isSpoilt === true,
});

function answerText({ output }: WorkResult): string {
  const parts = output.flatMap((item) => (item.type === 'message' ? item.content : []));
  return parts.map((part) => (part.type === 'output_text' ? part.text : part.refusal)).join('');
}

function countBy(
  charges: readonly Charge[],
  keyOf: (charge: Charge) => string | null,
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const charge of charges) {
    const key = keyOf(charge);
    if (key !== null) counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}
