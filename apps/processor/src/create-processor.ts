import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { connectKafkaTransport, type KafkaTransportStrategy } from '#libs/messaging';
import { NestLog, type JsonLog } from '#libs/process';
import type { OnFatal } from './connections.module.js';
import { RETRY_CONSUMER, WORK_CONSUMER } from './consumers.js';
import { ProcessorModule } from './processor.module.js';
import { takeRawBodies } from './receive-webhooks/raw-bodies.js';
import type { ProcessorSettings } from './settings.js';

/** The processor as a Nest application, not yet started. */
export async function createProcessor(
  settings: ProcessorSettings,
  log: JsonLog,
  onFatal: OnFatal,
): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter();
  takeRawBodies(adapter.getInstance());
  const app = await NestFactory.create<NestFastifyApplication>(
    ProcessorModule.of(settings, log, onFatal),
    adapter,
    { bodyParser: false, logger: new NestLog(log), abortOnError: false },
  );
  for (const token of [WORK_CONSUMER, RETRY_CONSUMER]) {
    connectKafkaTransport(app, app.get<KafkaTransportStrategy>(token));
  }
  return app;
}

/** Consumes, and answers health and webhooks; resolves with its address once both consumers have an assignment. */
export async function startProcessor(
  app: NestFastifyApplication,
  settings: ProcessorSettings,
): Promise<string> {
  await app.startAllMicroservices();
  await app.listen(settings.port, settings.host);
  const consumers = [WORK_CONSUMER, RETRY_CONSUMER].map((token) =>
    app.get<KafkaTransportStrategy>(token),
  );
  await Promise.all(consumers.map((consumer) => consumer.joined));
  return app.getUrl();
}
