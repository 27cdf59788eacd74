/** Starts the api: settings, then what it needs, then itself; SIGTERM drains it. */
import 'reflect-metadata';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { waitForKafka } from '#libs/messaging';
import { armPausePoint } from '#libs/pause-points';
import { requireMigrated } from '#libs/postgres';
import { JsonLog, placesOf, settingsOrExit, startProcess } from '#libs/process';
import { startTracing } from '#libs/tracing';
import { kafkaConnectionOf } from './connections.module.js';
import { createApi, startApi } from './create-api.js';
import { schemasOf } from './schema/index.js';
import { parseSettings } from './settings.js';

armPausePoint(process.env);
const settings = settingsOrExit('api', parseSettings(process.env));
const log = new JsonLog(settings.logLevel, undefined, 'api');
const tracing = await startTracing({ service: 'holdfast-api', log });
/** For a collector that is slow: spans are not worth a late end. */
const FLUSH_SPANS_MS = 2_000;

let app: NestFastifyApplication | undefined;

await startProcess({
  name: 'api',
  log,
  mends: {
    migrations_missing: 'node dist/apps/api/src/migrate.js',
    topic_missing: 'node dist/dev/stack/create-topics.js',
  },
  drainMs: settings.drainMs,
  async prepare(signal) {
    const waiting = { signal, onWaiting: (line: string) => log.warn({}, line) };
    await requireMigrated(schemasOf(settings), waiting);
    await waitForKafka(kafkaConnectionOf(settings, log), waiting);
  },
  async start(onFatal) {
    app = await createApi(settings, log, onFatal);
    const url = await startApi(app, settings);
    const postgres = placesOf([settings.databaseUrl, settings.contentDatabaseUrl]);
    const prefix = settings.topicPrefix ? ` (topics ${settings.topicPrefix}*)` : '';
    return `api on ${url}, Postgres ${postgres}, Kafka ${settings.kafkaBrokers.join(',')}${prefix}`;
  },
  async stop() {
    await app?.close();
    await tracing.stop({ flushMs: FLUSH_SPANS_MS });
  },
});
