import { Module } from '@nestjs/common';
import { PrometheusMetrics } from '#libs/metrics';
import { OpenAiGateway } from '#libs/openai-gateway';
import { Database } from '#libs/postgres';
import { JsonLog } from '#libs/process';
import { ReceiveWebhooksController } from './receive-webhooks.controller.js';
import { ReceiveWebhooks } from './receive-webhooks.js';
import { WebhookWorker } from './webhook-worker.js';
import { WebhooksStore } from './webhooks.store.js';

/** Longer than a look takes: a GET that OpenAI does not answer ends after 60 s. */
const TAKEN_FOR_MS = 90_000;

/** The processor *receives webhooks*: what OpenAI tells of responses whose replies may have been lost. */
@Module({
  controllers: [ReceiveWebhooksController],
  providers: [
    {
      provide: WebhooksStore,
      inject: [Database],
      useFactory: (database: Database) => new WebhooksStore(database, TAKEN_FOR_MS),
    },
    {
      provide: WebhookWorker,
      inject: [WebhooksStore, OpenAiGateway, PrometheusMetrics, JsonLog],
      useFactory: (
        store: WebhooksStore,
        gateway: OpenAiGateway,
        metrics: PrometheusMetrics,
        log: JsonLog,
      ) => new WebhookWorker({ store, gateway, metrics, log }),
    },
    {
      provide: ReceiveWebhooks,
      inject: [OpenAiGateway, WebhooksStore, WebhookWorker, PrometheusMetrics, JsonLog],
      useFactory: (
        gateway: OpenAiGateway,
        store: WebhooksStore,
        worker: WebhookWorker,
        metrics: PrometheusMetrics,
        log: JsonLog,
      ) => new ReceiveWebhooks({ gateway, store, metrics, log, onStored: () => worker.hint() }),
    },
  ],
  exports: [WebhookWorker],
})
export class ReceiveWebhooksModule {}
