import type { IncomingMessage } from 'node:http';
import multipart from '@fastify/multipart';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { connectKafkaTransport, KafkaTransportStrategy } from '#libs/messaging';
import { PrometheusMetrics } from '#libs/metrics';
import { ApiModule } from './api.module.js';
import type { OnFatal } from './connections.module.js';
import { COMMANDS_CONSUMER } from './consumers.js';
import { readJsonBody } from './json-body.js';
import { NestLog, type JsonLog } from '#libs/process';
import { timeRequests } from './report-metrics/time-requests.js';
import { ProblemFilter, sendProblem } from './problem.filter.js';
import { RouteTable } from './route-table.js';
import type { ApiSettings } from './settings.js';
import { toProblem } from './to-problem.js';
import { traceIdOf, traceRequests } from './trace.js';
import { answerInsteadOfNode, answerUnreadable } from './unread-requests.js';

/** How long a request may take to arrive whole; bounds slow uploads. */
const REQUEST_TIMEOUT_MS = 300_000;

/** The api as a Nest application, not yet started. */
export async function createApi(
  settings: ApiSettings,
  log: JsonLog,
  onFatal: OnFatal,
): Promise<NestFastifyApplication> {
  const routes = new RouteTable();
  const adapter = await httpAdapterOf(settings, routes);
  const app = await NestFactory.create<NestFastifyApplication>(
    ApiModule.of(settings, log, onFatal),
    adapter,
    { bodyParser: false, logger: new NestLog(log), abortOnError: false },
  );
  timeRequests(adapter.getInstance(), app.get(PrometheusMetrics));
  app.useGlobalFilters(new ProblemFilter(routes, log));
  connectKafkaTransport(app, app.get(KafkaTransportStrategy));
  connectKafkaTransport(app, app.get<KafkaTransportStrategy>(COMMANDS_CONSUMER));
  return app;
}

/** Consumes and listens; resolves with its address once the consumers have their first assignments. */
export async function startApi(
  app: NestFastifyApplication,
  settings: ApiSettings,
): Promise<string> {
  await app.startAllMicroservices();
  await app.listen(settings.port, settings.host);
  await app.get(KafkaTransportStrategy).joined;
  await app.get<KafkaTransportStrategy>(COMMANDS_CONSUMER).joined;
  return app.getUrl();
}

async function httpAdapterOf(settings: ApiSettings, routes: RouteTable): Promise<FastifyAdapter> {
  const adapter = new FastifyAdapter({
    bodyLimit: settings.maxBodyBytes,
    genReqId: (request: IncomingMessage) => traceIdOf(request.headers),
    requestTimeout: REQUEST_TIMEOUT_MS,
    return503OnClosing: false, // draining finishes what is begun; new connections are refused by then
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      const { method, url } = request; // an address that cannot even be read: no route, no filter
      sendProblem(reply, toProblem(error, { method, url, methodsHere: [] }), request.id);
    },
    http: { requireHostHeader: false }, // it is asked for all the same: answerInsteadOfNode
    clientErrorHandler: answerUnreadable,
    multipart: false, // registered below, once, with its limits per upload
  });
  const http = adapter.getInstance();
  traceRequests(http);
  answerInsteadOfNode(http);
  http.addHook('onRoute', (route) => routes.add(route.method, route.url));
  http.removeAllContentTypeParsers();
  http.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, readJsonBody(body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
  // The store counts the bytes itself and says what is wrong; a file cut short in silence would be a wrong document.
  await http.register(multipart, { throwFileSizeLimit: false });
  return adapter;
}
