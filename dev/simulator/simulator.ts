/**
 * A stateful stand-in for OpenAI's Responses API over HTTP, for tests and the demo: through the real SDK nothing but the
 * address differs. It keeps what it accepted, counts what OpenAI would have billed, and does wrong what it is told to.
 *
 *   POST /v1/responses · GET /v1/responses/{id} · POST /v1/responses/{id}/cancel
 *   POST /v1/conversations · GET, DELETE /v1/conversations/{id} · GET /v1/conversations/{id}/items
 *   GET /__sim/charges · GET /__sim/spoilt · GET /__sim/requests · POST /__sim/faults · DELETE /__sim/faults
 *   POST /__sim/finish · POST /__sim/limits · DELETE /__sim/limits
 *   GET /__sim/conversations · GET /__sim/webhooks · POST /__sim/webhooks · DELETE /__sim/webhooks
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AcceptedWork, Charges, Exchange } from './accepted-work.js';
import { AcceptedWorks } from './accepted-work.js';
import { Conversations } from './conversations.js';
import type { ScriptedFault } from './faults.js';
import { FaultScript, parseFaultScript } from './faults.js';
import { parseLimitOrder, RateLimits, type LimitOrder } from './rate-limits.js';
import type { LoggedRequest } from './responses-api.js';
import { ResponsesApi } from './responses-api.js';
import { readBody, sendError, sendJson } from './send.js';
import { parseWebhookOrder, Webhooks, type SentWebhook, type WebhookOrder } from './webhooks.js';

export interface SimulatorOptions {
  /** Where to listen. Default 127.0.0.1. */
  readonly host?: string;
  /** Default: any free port. */
  readonly port?: number;
  /** Accepted work is kept here, so that a restart forgets nothing. Default: memory only. */
  readonly dataFile?: string;
  readonly faults?: readonly ScriptedFault[];
  /** The usual time of one model execution. Default 40 ms. */
  readonly latencyMs?: number;
  /** Default: none are sent. */
  readonly webhooks?: WebhookOrder;
  /** Default: none that anybody meets. */
  readonly limits?: LimitOrder;
}

export interface Simulator {
  /** Without `/v1`. */
  readonly url: string;
  /** What `OPENAI_BASE_URL` takes. */
  readonly baseUrl: string;
  charges(): Charges;
  /** Questions and answers of runs that were given an answer that the script dictated. */
  spoilt(): readonly Exchange[];
  requests(): readonly LoggedRequest[];
  find(responseId: string): AcceptedWork | undefined;
  /** That stand, used or not. */
  conversations(): number;
  addFaults(faults: readonly ScriptedFault[]): void;
  clearFaults(): void;
  /** The responses that have been worked on the longest end now, so many of them; default: all. What hangs is answered. */
  finish(count?: number): void;
  /** What is turned away with 429 from now on; null: nothing. */
  orderLimits(order: LimitOrder | null): void;
  /** null: no more of them. */
  orderWebhooks(order: WebhookOrder | null): void;
  webhooks(): readonly SentWebhook[];
  close(): Promise<void>;
}

export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const works = new AcceptedWorks(options.dataFile ?? null);
  const conversations = new Conversations(works, options.dataFile ?? null);
  const script = new FaultScript();
  script.add(options.faults ?? []);
  const webhooks = new Webhooks();
  webhooks.order(options.webhooks ?? null);
  const limits = new RateLimits();
  limits.order(options.limits ?? null);
  const api = new ResponsesApi({
    works,
    conversations,
    webhooks,
    script,
    limits,
    latencyMs: options.latencyMs ?? 40,
  });
  const server = createServer((request, response) => {
    const parts = { api, works, conversations, script, webhooks, limits };
    route(request, response, parts).catch((error: unknown) => {
      if (!response.headersSent) sendJson(response, 500, { error: { message: String(error) } });
      else response.destroy();
    });
  });
  const port = await listen(server, options.port ?? 0, options.host ?? '127.0.0.1');
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    baseUrl: `${url}/v1`,
    charges: () => works.charges(),
    spoilt: () => works.spoiltExchanges(),
    requests: () => api.log,
    find: (id) => works.find(id),
    conversations: () => conversations.count,
    addFaults: (faults) => script.add(faults),
    clearFaults: () => script.clear(),
    finish: (count = Infinity) => api.finish(count),
    orderLimits: (order) => limits.order(order),
    orderWebhooks: (order) => webhooks.order(order),
    webhooks: () => webhooks.sent,
    close: () => {
      webhooks.stop();
      return close(server, api);
    },
  };
}

interface Parts {
  readonly api: ResponsesApi;
  readonly works: AcceptedWorks;
  readonly conversations: Conversations;
  readonly script: FaultScript;
  readonly webhooks: Webhooks;
  readonly limits: RateLimits;
}

async function route(
  request: IncomingMessage,
  response: ServerResponse,
  { api, works, conversations, script, webhooks, limits }: Parts,
): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://simulator').pathname;
  const key = `${request.method} ${path}`;
  if (key === 'GET /__sim/charges') return sendJson(response, 200, works.charges());
  if (key === 'GET /__sim/spoilt') return sendJson(response, 200, works.spoiltExchanges());
  if (key === 'GET /__sim/requests') return sendJson(response, 200, api.log);
  if (key === 'POST /__sim/faults') return addFaults(request, response, script);
  if (key === 'DELETE /__sim/faults') {
    script.clear();
    return sendJson(response, 200, { faults: 0 });
  }
  if (key === 'POST /__sim/finish') return finish(request, response, api);
  if (key === 'POST /__sim/limits') return orderLimits(request, response, limits);
  if (key === 'DELETE /__sim/limits') {
    limits.order(null);
    return sendJson(response, 200, { limits: 'off' });
  }
  if (key === 'GET /__sim/conversations')
    return sendJson(response, 200, { standing: conversations.count });
  if (key === 'GET /__sim/webhooks') return sendJson(response, 200, webhooks.sent);
  if (key === 'POST /__sim/webhooks') return orderWebhooks(request, response, webhooks);
  if (key === 'DELETE /__sim/webhooks') {
    webhooks.order(null);
    return sendJson(response, 200, { webhooks: 'off' });
  }
  response.setHeader('x-request-id', `req_${randomBytes(12).toString('hex')}`);
  response.setHeader('openai-processing-ms', '5');
  if (key === 'POST /v1/responses') return api.create(request, response);
  const one = /^\/v1\/responses\/([^/]+)(\/cancel)?$/.exec(path);
  if (one?.[1] !== undefined && request.method === 'GET' && one[2] === undefined)
    return api.retrieve(one[1], request, response);
  if (one?.[1] !== undefined && request.method === 'POST' && one[2] !== undefined)
    return api.cancel(one[1], request, response);
  if (await api.about(request, response)) return;
  sendError(response, 404, {
    code: 'unknown_url',
    message: `Unknown request URL: ${key}. Please check the URL for typos.`,
  });
}

async function addFaults(
  request: IncomingMessage,
  response: ServerResponse,
  script: FaultScript,
): Promise<void> {
  try {
    const faults = parseFaultScript(JSON.parse(await readBody(request)));
    script.add(faults);
    sendJson(response, 200, { added: faults.length });
  } catch (error) {
    sendError(response, 400, { code: 'fault_script_invalid', message: String(error) });
  }
}

/** The body: `{ "count": 2 }`; without a count, all. */
async function finish(
  request: IncomingMessage,
  response: ServerResponse,
  api: ResponsesApi,
): Promise<void> {
  const { count = Infinity } = JSON.parse(await readBody(request)) as { count?: number };
  api.finish(count);
  sendJson(response, 200, {});
}

async function orderLimits(
  request: IncomingMessage,
  response: ServerResponse,
  limits: RateLimits,
): Promise<void> {
  try {
    limits.order(parseLimitOrder(JSON.parse(await readBody(request))));
    sendJson(response, 200, { limits: 'on' });
  } catch (error) {
    sendError(response, 400, { code: 'limit_order_invalid', message: String(error) });
  }
}

async function orderWebhooks(
  request: IncomingMessage,
  response: ServerResponse,
  webhooks: Webhooks,
): Promise<void> {
  try {
    webhooks.order(parseWebhookOrder(JSON.parse(await readBody(request))));
    sendJson(response, 200, { webhooks: 'on' });
  } catch (error) {
    sendError(response, 400, { code: 'webhook_order_invalid', message: String(error) });
  }
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

function close(server: Server, api: ResponsesApi): Promise<void> {
  api.stop();
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
