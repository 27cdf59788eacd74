/** The operations of OpenAI's API that Holdfast uses, with the scripted faults woven in where they belong. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ResponseCreateParamsNonStreaming } from 'openai/resources/responses/responses';
import type { AcceptedWork, AcceptedWorks } from './accepted-work.js';
import { conversationOf, statusOf, toResponse } from './accepted-work.js';
import { checkRequest } from './check-request.js';
import type { Conversations } from './conversations.js';
import {
  answerConversations,
  type Met,
  sendLocked,
  sendNoConversation,
} from './conversations-api.js';
import type { Fault, FaultScript, Operation } from './faults.js';
import { doWork, inputText, workTimeMs } from './model-work.js';
import type { RateLimits } from './rate-limits.js';
import { readBody, sendError, sendJson } from './send.js';
import type { Webhooks } from './webhooks.js';

export interface LoggedRequest {
  readonly at: string;
  readonly operation: Operation;
  readonly callId: string | null;
  readonly runId: string | null;
  readonly responseId: string | null;
  readonly clientRequestId: string | null;
  readonly fault: Fault['kind'] | null;
  /** Turned away by the rate limits. */
  readonly isLimited: boolean;
}

const keptLogLines = 20_000;
/** Timers may fire a little early by the clock that says how far a response is. */
const timerSlackMs = 5;

export class ResponsesApi {
  readonly log: LoggedRequest[] = [];
  readonly #stop = new AbortController();
  #hurry = new AbortController();

  constructor(
    private readonly parts: {
      readonly works: AcceptedWorks;
      readonly conversations: Conversations;
      readonly script: FaultScript;
      readonly limits: RateLimits;
      readonly webhooks: Webhooks;
      readonly latencyMs: number;
    },
  ) {}

  stop(): void {
    this.#stop.abort();
  }

  /** See `Simulator.finish`. */
  finish(count: number): void {
    this.parts.works.finish(count, Date.now());
    this.#hurry.abort(); // whoever waits for an end looks again how long it has, and what hangs is answered
    this.#hurry = new AbortController();
  }

  async create(http: IncomingMessage, reply: ServerResponse): Promise<void> {
    const body = parseJson(await readBody(http));
    const facts = factsOf(body);
    const fault = this.parts.script.take({ operation: 'create', ...facts });
    if (fault?.kind === 'reset_before_read') return this.#reset('create', http, facts, fault);
    const refusal = this.#refusal(http, reply, fault);
    if (refusal) return this.#note('create', http, { ...facts, responseId: null, fault });
    const checked = checkRequest(body);
    if (checked.kind === 'refused') {
      this.#note('create', http, { ...facts, responseId: null, fault });
      return sendError(reply, checked.problem.status, checked.problem);
    }
    if (this.#refusedByConversation(checked.request, reply))
      return this.#note('create', http, { ...facts, responseId: null, fault });
    const { model, input } = facts;
    const maxOutput = checked.request.max_output_tokens ?? 0;
    const { headers, refusal: limited } = this.parts.limits.spend(
      model,
      input,
      maxOutput,
      Date.now(),
    );
    for (const [name, value] of Object.entries(headers)) reply.setHeader(name, value);
    if (limited !== null) {
      this.#note('create', http, { ...facts, responseId: null, fault, isLimited: true });
      return sendError(reply, 429, {
        code: 'rate_limit_exceeded',
        message: limited,
        type: 'tokens',
      });
    }
    const work = this.#accept(checked.request, fault);
    this.#note('create', http, { ...facts, responseId: work.id, fault });
    if (fault?.kind === 'reset_after_charge') return void http.socket.destroy();
    if (fault?.kind === 'hang') await this.#wait(fault.ms, this.#hurry.signal);
    if (checked.request.background === true) return this.#answer(reply, work, fault);
    this.#answer(reply, (await this.#over(work.id)) ?? work, fault);
  }

  async retrieve(id: string, http: IncomingMessage, reply: ServerResponse): Promise<void> {
    await this.#about(id, 'retrieve', http, reply, (work) => work);
  }

  async cancel(id: string, http: IncomingMessage, reply: ServerResponse): Promise<void> {
    await this.#about(id, 'cancel', http, reply, (work) => {
      if (work.request.background === true) return this.#cancelled(work);
      sendError(reply, 400, {
        code: null,
        message: 'Only background responses can be cancelled.',
      });
      return null;
    });
  }

  /** False: not an operation on conversations. */
  about(http: IncomingMessage, reply: ServerResponse): Promise<boolean> {
    return answerConversations(http, reply, async () => parseJson(await readBody(http)), {
      conversations: this.parts.conversations,
      meet: (operation, ...exchange) => this.#meet(operation, ...exchange),
      wait: (ms) => this.#wait(ms),
    });
  }

  /** What every other operation may meet; null: it is answered. */
  #meet(operation: Operation, http: IncomingMessage, reply: ServerResponse): Met | null {
    const facts = factsOf(null);
    const fault = this.parts.script.take({ operation, ...facts });
    this.#note(operation, http, { ...facts, responseId: null, fault });
    if (fault?.kind === 'reset_before_read') http.socket.destroy();
    else if (!this.#refusal(http, reply, fault)) return { fault };
    return null;
  }

  #refusedByConversation(
    request: ResponseCreateParamsNonStreaming,
    reply: ServerResponse,
  ): boolean {
    const id = conversationOf(request);
    if (id === null) return false;
    if (this.parts.conversations.find(id) === undefined) sendNoConversation(reply, id);
    else if (this.parts.conversations.isLocked(id, Date.now())) sendLocked(reply);
    else return false;
    return true;
  }

  /** What GET and cancel have in common: find the response, do wrong what is scripted, else act and show it. */
  async #about(
    id: string,
    operation: Operation,
    http: IncomingMessage,
    reply: ServerResponse,
    act: (work: AcceptedWork) => AcceptedWork | null,
  ): Promise<void> {
    const work = this.parts.works.find(id);
    const facts = factsOf(work?.request ?? null);
    const fault = this.parts.script.take({ operation, ...facts });
    this.#note(operation, http, { ...facts, responseId: id, fault });
    if (fault?.kind === 'reset_before_read') return void http.socket.destroy();
    if (this.#refusal(http, reply, fault)) return;
    if (work === undefined)
      return sendError(reply, 404, { code: null, message: `Response with id '${id}' not found.` });
    if (fault?.kind === 'hang') await this.#wait(fault.ms, this.#hurry.signal);
    const after = act(this.parts.works.find(id) ?? work); // as it is by now
    if (after === null) return;
    if (fault?.kind === 'reset_after_charge') return void http.socket.destroy();
    this.#answer(reply, after, fault);
  }

  /** Answers what OpenAI refuses before it looks at the request; true where it did. */
  #refusal(http: IncomingMessage, reply: ServerResponse, fault: Fault | null): boolean {
    if (fault?.kind === 'status') {
      for (const [name, value] of Object.entries(fault.headers ?? {})) reply.setHeader(name, value);
      if (fault.body === undefined)
        sendError(reply, fault.status, {
          code: fault.code ?? null,
          message: fault.message ?? `Scripted error ${fault.status}.`,
          ...(fault.type === undefined ? {} : { type: fault.type }),
        });
      else reply.writeHead(fault.status, { 'content-type': 'text/html' }).end(fault.body);
      return true;
    }
    if (/^Bearer \S+/.test(http.headers.authorization ?? '')) return false;
    sendError(reply, 401, {
      code: 'invalid_api_key',
      message: "You didn't provide an API key.",
    });
    return true;
  }

  #accept(request: ResponseCreateParamsNonStreaming, fault: Fault | null): AcceptedWork {
    const work: AcceptedWork = {
      id: `resp_${randomBytes(24).toString('hex')}`,
      request,
      acceptedAtMs: Date.now(),
      workMs: workTimeMs(request, this.parts.latencyMs, fault),
      result: doWork(request, `msg_${randomBytes(24).toString('hex')}`, fault),
      ...(fault?.kind === 'usage' && { toldUsage: fault.usage }),
      ...(fault?.kind === 'text' && { isSpoilt: true }),
      cancelledAtMs: null,
    };
    this.parts.works.add(work);
    if (request.background === true) void this.#tellOfEnd(work);
    return work;
  }

  #cancelled(work: AcceptedWork): AcceptedWork {
    const after = this.parts.works.cancel(work, Date.now());
    if (after !== work) void this.parts.webhooks.tell(work.id, 'cancelled');
    return after;
  }

  /** When its time is over, unless it was cancelled: that was told then. */
  async #tellOfEnd({ id }: AcceptedWork): Promise<void> {
    const work = await this.#over(id);
    if (work === null || work.cancelledAtMs !== null) return;
    await this.parts.webhooks.tell(id, statusOf(work, Date.now()));
  }

  /** Resolves when the work's time is over; null: the simulator ends. */
  async #over(id: string): Promise<AcceptedWork | null> {
    while (!this.#stop.signal.aborted) {
      const work = this.parts.works.find(id)!;
      const leftMs = work.acceptedAtMs + work.workMs - Date.now();
      if (leftMs <= 0) return work;
      await this.#wait(leftMs + timerSlackMs, this.#hurry.signal);
    }
    return null;
  }

  #answer(reply: ServerResponse, work: AcceptedWork, fault: Fault | null): void {
    const now = Date.now();
    const status = statusOf(work, now);
    if (status === 'queued' || status === 'in_progress')
      reply.setHeader('openai-poll-after-ms', String(pollAfterMs(work, now)));
    if (fault?.kind === 'broken_json') {
      reply.writeHead(200, { 'content-type': 'application/json' }).end('{"id": "resp_');
      return;
    }
    if (fault?.kind !== 'cut_body') return sendJson(reply, 200, toResponse(work, now));
    const bytes = Buffer.from(JSON.stringify(toResponse(work, now)));
    reply.writeHead(200, {
      'content-type': 'application/json',
      'content-length': bytes.length,
    });
    reply.write(bytes.subarray(0, bytes.length / 2), () => reply.destroy());
  }

  #reset(
    operation: Operation,
    http: IncomingMessage,
    facts: ReturnType<typeof factsOf>,
    fault: Fault,
  ): void {
    this.#note(operation, http, { ...facts, responseId: null, fault });
    http.socket.destroy();
  }

  #note(
    operation: Operation,
    http: IncomingMessage,
    about: {
      callId: string | null;
      runId: string | null;
      responseId: string | null;
      fault: Fault | null;
      isLimited?: boolean;
    },
  ): void {
    if (this.log.length >= keptLogLines) this.log.shift();
    const clientRequestId = http.headers['x-client-request-id'];
    this.log.push({
      at: new Date().toISOString(),
      operation,
      callId: about.callId,
      runId: about.runId,
      responseId: about.responseId,
      clientRequestId: typeof clientRequestId === 'string' ? clientRequestId : null,
      fault: about.fault?.kind ?? null,
      isLimited: about.isLimited ?? false,
    });
  }

  /** Ends early, without error, when the simulator stops, or at the signal. */
  async #wait(ms: number, early?: AbortSignal): Promise<void> {
    const signal = early ? AbortSignal.any([this.#stop.signal, early]) : this.#stop.signal;
    await sleep(ms, undefined, { signal }).catch(() => undefined);
  }
}

const pollAfterMs = (work: AcceptedWork, nowMs: number): number =>
  Math.max(5, Math.min(1_000, work.acceptedAtMs + work.workMs - nowMs));

function factsOf(body: unknown): {
  runId: string | null;
  callId: string | null;
  model: string;
  input: string;
} {
  const request = (body ?? {}) as Partial<ResponseCreateParamsNonStreaming>;
  return {
    runId: stringOrNull(request.metadata?.run_id),
    callId: stringOrNull(request.metadata?.call_id),
    model: stringOrNull(request.model) ?? '',
    input: inputText(request),
  };
}

const stringOrNull = (value: unknown): string | null => (typeof value === 'string' ? value : null);

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
