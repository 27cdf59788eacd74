import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { Global, Module, type DynamicModule } from '@nestjs/common';
import { ContentStore } from '#libs/content';
import { PrometheusMetrics } from '#libs/metrics';
import { KafkaConnection, Outbox, OutboxRelay } from '#libs/messaging';
import { OpenAiGateway } from '#libs/openai-gateway';
import { Database, Notifications } from '#libs/postgres';
import { Draining, JsonLog } from '#libs/process';
import { WebhookSender } from '#libs/webhooks';
import { PROCESSOR_SETTINGS, type ProcessorSettings } from './settings.js';
import { tellOutagesTo } from './tell-outages.js';

/** The content store's own pool: it may be another Postgres. */
export const CONTENT_DATABASE = Symbol('ContentDatabase');
/** Who we are in leases: unique per process, also after a restart under the same process id. */
export const OWNER = Symbol('Owner');
/** Told when the process cannot go on (a consumer is dead): `main.ts` ends it. */
export const ON_FATAL = Symbol('OnFatal');
export type OnFatal = (error: Error) => void;

const APPLICATION_NAME = 'holdfast-processor';

/** What the processor talks to: Postgres, the content store, Kafka, OpenAI, receivers of webhooks. `drain.ts` closes them. */
@Global()
@Module({})
export class ConnectionsModule {
  static of(settings: ProcessorSettings, log: JsonLog, onFatal: OnFatal): DynamicModule {
    const owner = `${hostname()}.${process.pid}.${randomBytes(4).toString('hex')}`;
    const onError = (error: Error) => log.warn({ error }, 'Postgres connection lost');
    const maxConnections = settings.databaseConnections;
    const database = (url: string) =>
      new Database({ url, maxConnections, applicationName: APPLICATION_NAME, onError });
    const providers = [
      { provide: PROCESSOR_SETTINGS, useValue: settings },
      { provide: JsonLog, useValue: log },
      { provide: PrometheusMetrics, useFactory: () => new PrometheusMetrics('processor') },
      { provide: ON_FATAL, useValue: onFatal },
      { provide: Draining, useFactory: () => new Draining() },
      { provide: OWNER, useValue: owner },
      { provide: Database, useFactory: () => database(settings.databaseUrl) },
      { provide: CONTENT_DATABASE, useFactory: () => database(settings.contentDatabaseUrl) },
      {
        provide: ContentStore,
        inject: [CONTENT_DATABASE],
        useFactory: (contentDatabase: Database) => new ContentStore(contentDatabase),
      },
      {
        provide: OpenAiGateway,
        inject: [Database, PrometheusMetrics, Outbox],
        useFactory: (processor: Database, metrics: PrometheusMetrics, outbox: Outbox) =>
          new OpenAiGateway({
            database: processor,
            tellOutage: tellOutagesTo(outbox),
            outages: {
              billingProbeMs: settings.billingProbeMs,
              firstProbeMs: settings.latchProbeMs,
              openMs: settings.breakerOpenMs,
            },
            baseUrl: settings.openaiBaseUrl,
            apiKey: settings.openaiApiKey,
            ...settings.openai,
            log,
            metrics,
            limits: settings.openaiLimits,
            ...settings.money,
            ...(settings.webhookSecrets.size > 0 && {
              webhooks: { secrets: settings.webhookSecrets, graceMs: settings.webhookGraceMs },
            }),
            ...(settings.conversations !== 'off' && { anchors: { for: settings.conversations } }),
          }),
      },
      {
        provide: WebhookSender,
        useFactory: () => new WebhookSender({ privateAddresses: settings.webhookPrivateAddresses }),
      },
      {
        provide: Notifications,
        useFactory: () =>
          new Notifications({
            url: settings.databaseUrl,
            applicationName: APPLICATION_NAME,
            onError,
          }),
      },
      { provide: KafkaConnection, useFactory: () => kafkaConnectionOf(settings, log) },
      {
        provide: Outbox,
        useFactory: () => new Outbox({ schema: 'processor', source: '/holdfast/processor' }),
      },
      {
        provide: OutboxRelay,
        inject: [Database, KafkaConnection, Notifications],
        useFactory: (processor: Database, kafka: KafkaConnection, notifications: Notifications) =>
          new OutboxRelay({
            database: processor,
            schema: 'processor',
            kafka,
            notifications,
            holder: owner,
            log,
          }),
      },
    ];
    return { module: ConnectionsModule, providers, exports: providers.map((each) => each.provide) };
  }
}

export function kafkaConnectionOf(settings: ProcessorSettings, log: JsonLog): KafkaConnection {
  return new KafkaConnection({
    brokers: settings.kafkaBrokers,
    clientId: APPLICATION_NAME,
    topicPrefix: settings.topicPrefix,
    log,
  });
}
