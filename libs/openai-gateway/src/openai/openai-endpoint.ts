/**
 * OpenAI as three operations, each answering with facts instead of throwing: create, retrieve, cancel.
 * The SDK stays behind this file. `maxRetries: 0`, always: the SDK would POST again what may have been paid, and waits where
 * we decide. Every setting that the SDK would read from the environment in silence is pinned.
 */
import { randomUUID } from 'node:crypto';
import { noMetrics, type Metrics } from '#libs/metrics';
import OpenAI, { APIError } from 'openai';
import type {
  Response,
  ResponseCreateParamsNonStreaming,
} from 'openai/resources/responses/responses';
import { activeTraceparent, inSpan } from '#libs/tracing';
import type { NoAnswer } from '../classify/call-fact.js';
import { readCode } from '../classify/safe-text.js';
import { httpStatusOf, type Exchange } from './exchange.js';
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
} as const;
type Operation = keyof typeof OPERATIONS;

export interface ExchangeLimits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

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

  #exchange(
    operation: Operation,
    limits: ExchangeLimits,
    call: (options: OpenAI.RequestOptions) => Promise<Response>,
  ): Promise<Exchange> {
    const [method, route] = OPERATIONS[operation];
    const plan = () => exchangeSpan(method, route, this.#client.baseURL);
    return inSpan(plan, async (span) => {
      const sentAtMs = performance.now();
      const exchange = await this.#watched(limits, call);
      const labels = { operation, status: String(httpStatusOf(exchange) ?? 'none') };
      const tookMs = performance.now() - sentAtMs;
      this.#metrics.observe('holdfast_openai_request_duration_seconds', labels, tookMs / 1_000);
      tellExchange(span, exchange);
      if (!limits.signal?.aborted) this.#answers.note(exchange);
      return exchange;
    });
  }

  async #watched(
    { timeoutMs, signal }: ExchangeLimits,
    call: (options: OpenAI.RequestOptions) => Promise<Response>,
  ): Promise<Exchange> {
    const clientRequestId = randomUUID();
    const traceparent = activeTraceparent();
    return this.#wireFetch.watch(clientRequestId, async (wire) => {
      try {
        const response = await call({
          headers: {
            [clientRequestIdHeader]: clientRequestId,
            ...(traceparent !== undefined && { traceparent }),
          },
          timeout: timeoutMs,
          ...(signal && { signal }),
        });
        return readAnswer(response, wire);
      } catch (error) {
        return readError(error, wire);
      }
    });
  }
}

/** A 200 may hold anything: only what is a response object with an id counts as one. */
function readAnswer(response: Response | string | null | undefined, wire: Wire): Exchange {
  const isResponse =
    typeof response === 'object' &&
    response?.object === 'response' &&
    typeof response.id === 'string' &&
    /^[\x21-\x7e]{1,200}$/.test(response.id);
  if (!isResponse || wire.answer === null) return noAnswer('not_a_response', wire);
  return {
    kind: 'answered',
    response,
    requestId: requestIdOf(wire),
    headers: wire.answer.headers,
  };
}

function readError(error: unknown, wire: Wire): Exchange {
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
