import { hostname } from 'node:os';
import { Global, Module, type DynamicModule } from '@nestjs/common';
import { ContentStore } from '#libs/content';
import { PrometheusMetrics } from '#libs/metrics';
import { KafkaConnection, Outbox, OutboxRelay } from '#libs/messaging';
import { Database, Notifications } from '#libs/postgres';
import { Draining, JsonLog } from '#libs/process';
import { API_SETTINGS, type ApiSettings } from './settings.js';

/** The content store's own pool: it may be another Postgres. */
export const CONTENT_DATABASE = Symbol('ContentDatabase');

/** Told when the process cannot go on (its consumer is dead): `main.ts` ends it. */
export const ON_FATAL = Symbol('OnFatal');
export type OnFatal = (error: Error) => void;

const APPLICATION_NAME = 'holdfast-api';
/** As long as a run that is submitted: its caller waits for its input too, and is told to come back (503). */
const CONTENTS_RETRIED_MS = 3_000;

/** What the api talks to: Postgres, the content store, Kafka. `drain.ts` closes them. */
@Global()
@Module({})
export class ConnectionsModule {
  static of(settings: ApiSettings, log: JsonLog, onFatal: OnFatal): DynamicModule {
    const onError = (error: Error) => log.warn({ error }, 'Postgres connection lost');
    const maxConnections = settings.databaseConnections;
    const database = (url: string) =>
      new Database({ url, maxConnections, applicationName: APPLICATION_NAME, onError });
    const providers = [
      { provide: API_SETTINGS, useValue: settings },
      { provide: JsonLog, useValue: log },
      { provide: PrometheusMetrics, useFactory: () => new PrometheusMetrics('api') },
      { provide: ON_FATAL, useValue: onFatal },
      { provide: Draining, useFactory: () => new Draining() },
      { provide: Database, useFactory: () => database(settings.databaseUrl) },
      { provide: CONTENT_DATABASE, useFactory: () => database(settings.contentDatabaseUrl) },
      {
        provide: ContentStore,
        inject: [CONTENT_DATABASE],
        useFactory: (contentDatabase: Database) =>
          new ContentStore(contentDatabase, { maxRetryMs: CONTENTS_RETRIED_MS }),
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
      {
        provide: KafkaConnection,
        useFactory: () => kafkaConnectionOf(settings, log),
      },
      {
        provide: Outbox,
        useFactory: () => new Outbox({ schema: 'api', source: '/holdfast/api' }),
      },
      {
        provide: OutboxRelay,
        inject: [Database, KafkaConnection, Notifications],
        useFactory: (api: Database, kafka: KafkaConnection, notifications: Notifications) =>
          new OutboxRelay({
            database: api,
            schema: 'api',
            kafka,
            notifications,
            holder: `${hostname()}.${process.pid}`,
            log,
          }),
      },
    ];
    return { module: ConnectionsModule, providers, exports: providers.map((each) => each.provide) };
  }
}

export function kafkaConnectionOf(settings: ApiSettings, log: JsonLog): KafkaConnection {
  return new KafkaConnection({
    brokers: settings.kafkaBrokers,
    clientId: APPLICATION_NAME,
    topicPrefix: settings.topicPrefix,
    log,
  });
}
