/** Starts the processor: settings, then what it needs, then itself; SIGTERM drains it. */
import 'reflect-metadata';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { waitForKafka } from '#libs/messaging';
import { armPausePoint } from '#libs/pause-points';
import { requireMigrated } from '#libs/postgres';
import { JsonLog, placesOf, settingsOrExit, startProcess } from '#libs/process';
import { startTracing } from '#libs/tracing';
import { workflows } from '#libs/workflows';
import { kafkaConnectionOf } from './connections.module.js';
import { createProcessor, startProcessor } from './create-processor.js';
import { schemasOf } from './schema/index.js';
import { parseSettings } from './settings.js';
import { requirePrices } from './require-prices.js';
import { requireWorkflows } from './require-workflows.store.js';

armPausePoint(process.env);
const settings = settingsOrExit('processor', parseSettings(process.env));
const log = new JsonLog(settings.logLevel, undefined, 'processor');
const tracing = await startTracing({ service: 'holdfast-processor', log });
/** For a collector that is slow: spans are not worth a late end. */
const FLUSH_SPANS_MS = 2_000;

let app: NestFastifyApplication | undefined;

await startProcess({
  name: 'processor',
  log,
  mends: {
    migrations_missing: 'node dist/apps/processor/src/migrate.js',
    topic_missing: 'node dist/dev/stack/create-topics.js',
  },
  drainMs: settings.drainMs,
  async prepare(signal) {
    const waiting = { signal, onWaiting: (line: string) => log.warn({}, line) };
    requirePrices(workflows, settings.money, Date.now());
    await requireMigrated(schemasOf(settings), waiting);
    await requireWorkflows(settings.databaseUrl, workflows);
    await waitForKafka(kafkaConnectionOf(settings, log), waiting);
  },
  async start(onFatal) {
    app = await createProcessor(settings, log, onFatal);
    const url = await startProcessor(app, settings);
    const postgres = placesOf([settings.databaseUrl, settings.contentDatabaseUrl]);
    const prefix = settings.topicPrefix ? ` (topics ${settings.topicPrefix}*)` : '';
    const kafka = settings.kafkaBrokers.join(',') + prefix;
    return `processor on ${url}, ${settings.runSlots} run slots, OpenAI ${settings.openaiBaseUrl}, Postgres ${postgres}, Kafka ${kafka}`;
  },
  async stop() {
    await app?.close();
    await tracing.stop({ flushMs: FLUSH_SPANS_MS });
  },
});
