/**
 * OpenAI as a few operations, each answering with facts instead of throwing: create, retrieve and cancel a response; make, look at
 * and remove a conversation.
 * The SDK stays behind this file. `maxRetries: 0`, always: the SDK would POST again what may have been paid, and waits where
 * we decide. Every setting that the SDK would read from the environment in silence is pinned.
 */
import { randomUUID } from 'node:crypto';
import { noMetrics, type Metrics } from '#libs/metrics';
import OpenAI, { APIError } from 'openai';
import type { ConversationItem } from 'openai/resources/conversations/items';
import type {
  Response,
  ResponseCreateParamsNonStreaming,
} from 'openai/resources/responses/responses';
import { activeTraceparent, inSpan } from '#libs/tracing';
import type { NoAnswer, RefusedRequest } from '../classify/call-fact.js';
import { readCode } from '../classify/safe-text.js';
import { type Answered, type Exchange, httpStatusOf } from './exchange.js';
import { exchangeSpan, tellExchange } from './exchange-span.js';
import { OpenAiAnswers, type OpenAiHealth } from './openai-health.js';
import {
  clientRequestIdHeader,
  type Wire,
  WireFetch,
  type WireFetchOptions,
} from './wire-fetch.js';

export interface EndpointOptions extends WireFetchOptions {
  /** With `/v1`. */
  readonly baseUrl: string;
  readonly apiKey: string;
  /** Default: nothing is counted. */
  readonly metrics?: Metrics;
}

/** What is asked of OpenAI: method and route. */
const OPERATIONS = {
  create: ['POST', '/responses'],
  retrieve: ['GET', '/responses/{response_id}'],
  cancel: ['POST', '/responses/{response_id}/cancel'],
  create_conversation: ['POST', '/conversations'],
  list_items: ['GET', '/conversations/{conversation_id}/items'],
  delete_conversation: ['DELETE', '/conversations/{conversation_id}'],
} as const;
type Operation = keyof typeof OPERATIONS;

export interface ExchangeLimits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** What came of a request about a conversation. */
export type Told<T> = Answered<T> | RefusedRequest | NoAnswer;

/** A call leaves its question and its answer: far fewer than OpenAI gives at once. */
const maxItems = 100;

export class OpenAiEndpoint {
  readonly #wireFetch: WireFetch;
  readonly #client: OpenAI;
  readonly #answers = new OpenAiAnswers();
  readonly #metrics: Metrics;

  constructor({ baseUrl, apiKey, metrics = noMetrics, ...wireOptions }: EndpointOptions) {
    this.#metrics = metrics;
    this.#wireFetch = new WireFetch(wireOptions);
    this.#client = new OpenAI({
      apiKey,
      baseURL: baseUrl,
      maxRetries: 0,
      fetch: this.#wireFetch.fetch,
      logLevel: 'off',
      adminAPIKey: null,
      organization: null,
      project: null,
      webhookSecret: null,
    });
  }

  create(body: ResponseCreateParamsNonStreaming, limits: ExchangeLimits): Promise<Exchange> {
    return this.#exchange('create', limits, (options) =>
      this.#client.responses.create(body, options),
    );
  }

  /** The id of a new conversation. */
  createConversation(limits: ExchangeLimits): Promise<Told<string>> {
    const make = async (options: OpenAI.RequestOptions) =>
      (await this.#client.conversations.create({}, options)).id;
    return this.#ask('create_conversation', limits, make, isId);
  }

  /** What stands in a conversation, oldest first. */
  listItems(id: string, limits: ExchangeLimits): Promise<Told<readonly ConversationItem[]>> {
    const query = { order: 'asc', limit: maxItems } as const;
    const list = async (options: OpenAI.RequestOptions) =>
      (await this.#client.conversations.items.list(id, query, options)).data;
    return this.#ask('list_items', limits, list, Array.isArray);
  }

  deleteConversation(id: string, limits: ExchangeLimits): Promise<Told<boolean>> {
    const remove = async (options: OpenAI.RequestOptions) =>
      (await this.#client.conversations.delete(id, options)).deleted;
    return this.#ask('delete_conversation', limits, remove, (deleted) => deleted === true);
  }

  retrieve(responseId: string, limits: ExchangeLimits): Promise<Exchange> {
    return this.#exchange('retrieve', limits, (options) =>
      this.#client.responses.retrieve(responseId, {}, options),
    );
  }

  cancel(responseId: string, limits: ExchangeLimits): Promise<Exchange> {
    return this.#exchange('cancel', limits, (options) =>
      this.#client.responses.cancel(responseId, options),
    );
  }

  health(): OpenAiHealth {
    return this.#answers.health();
  }

  close(): Promise<void> {
    return this.#wireFetch.close();
  }

  async #exchange(
    operation: Operation,
    limits: ExchangeLimits,
    call: (options: OpenAI.RequestOptions) => Promise<Response>,
  ): Promise<Exchange> {
    const told = await this.#ask(operation, limits, call, isResponse);
    const exchange = told.kind === 'answered' ? asExchange(told) : told;
    const asked = operation === 'create' ? 'create' : 'follow';
    if (!limits.signal?.aborted) this.#answers.note(asked, exchange);
    return exchange;
  }

  /** @param isSound a 200 may hold anything: only what this takes counts as an answer */
  #ask<T>(
    operation: Operation,
    limits: ExchangeLimits,
    call: (options: OpenAI.RequestOptions) => Promise<T>,
    isSound: (value: T) => boolean,
  ): Promise<Told<T>> {
    const [method, route] = OPERATIONS[operation];
    const plan = () => exchangeSpan(method, route, this.#client.baseURL);
    return inSpan(plan, async (span) => {
      const sentAtMs = performance.now();
      const told = await this.#watched(limits, call, isSound);
      const labels = { operation, status: String(httpStatusOf(told) ?? 'none') };
      const tookMs = performance.now() - sentAtMs;
      this.#metrics.observe('holdfast_openai_request_duration_seconds', labels, tookMs / 1_000);
      tellExchange(span, told);
      return told;
    });
  }

  async #watched<T>(
    { timeoutMs, signal }: ExchangeLimits,
    call: (options: OpenAI.RequestOptions) => Promise<T>,
    isSound: (value: T) => boolean,
  ): Promise<Told<T>> {
    const clientRequestId = randomUUID();
    const traceparent = activeTraceparent();
    return this.#wireFetch.watch(clientRequestId, async (wire) => {
      try {
        const value = await call({
          headers: {
            [clientRequestIdHeader]: clientRequestId,
            ...(traceparent !== undefined && { traceparent }),
          },
          timeout: timeoutMs,
          ...(signal && { signal }),
        });
        if (wire.answer === null || !isSound(value)) return noAnswer('not_a_response', wire);
        const { headers } = wire.answer;
        return { kind: 'answered', value, requestId: requestIdOf(wire), headers };
      } catch (error) {
        return readError(error, wire);
      }
    });
  }
}

const asExchange = ({ value: response, ...answer }: Answered<Response>): Exchange => ({
  ...answer,
  response,
});

const isId = (value: unknown): boolean =>
  typeof value === 'string' && /^[\x21-\x7e]{1,200}$/.test(value);

/** Only what is a response object with an id counts as one. */
const isResponse = (value: Response | string | null | undefined): boolean =>
  typeof value === 'object' && value?.object === 'response' && isId(value.id);

function readError(error: unknown, wire: Wire): RefusedRequest | NoAnswer {
  // A status that came with an unreadable body: the SDK has put the transport's words in place of OpenAI's.
  if (!(error instanceof APIError) || error.status === undefined || wire.answer === null)
    return noAnswer(causeOf(wire.error ?? error), wire);
  const said = error.error as { message?: unknown; param?: unknown } | undefined;
  return {
    kind: 'refused',
    status: wire.answer.status,
    isOpenAis: typeof said === 'object' && typeof said.message === 'string',
    code: readCode(error.code),
    param: readCode(said?.param),
    message: typeof said?.message === 'string' ? said.message : '',
    headers: wire.answer.headers,
    requestId: requestIdOf(wire),
  };
}

const noAnswer = (cause: string, wire: Wire): NoAnswer => ({
  kind: 'no_answer',
  requestLeft: wire.requestLeft,
  cause,
  httpStatus: wire.answer?.status ?? null,
  requestId: requestIdOf(wire),
});

const requestIdOf = (wire: Wire): string | null => {
  const id = wire.answer?.headers.get('x-request-id') ?? null;
  return id !== null && /^[\x21-\x7e]{1,200}$/.test(id) ? id : null;
};

/** The innermost thing that has a name: `ECONNREFUSED`, `UND_ERR_SOCKET`, `SyntaxError`. Never its text. */
function causeOf(error: unknown): string {
  let name = 'unknown';
  for (let at = error, depth = 0; isErrorLike(at) && depth < 5; at = at.cause, depth += 1)
    name = readCode(at.code) ?? (at.name === 'Error' ? at.constructor.name : at.name);
  return readCode(name) ?? 'unknown';
}

/** Not `instanceof`: Node's own errors come from another realm where specs run in one of their own. */
const isErrorLike = (value: unknown): value is Error & { code?: unknown } =>
  typeof value === 'object' && value !== null && 'message' in value && 'name' in value;
