/** Starts the processor: settings, then what it needs, then itself; SIGTERM drains it. */
import 'reflect-metadata';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { contentMigrations } from '#libs/content';
import { TopicMissingError, waitForKafka } from '#libs/messaging';
import { missingMigrations, waitForPostgres } from '#libs/postgres';
import { JsonLog, settingsOrExit } from '#libs/process';
import { workflows } from '#libs/workflows';
import { kafkaConnectionOf } from './connections.module.js';
import { createProcessor, startProcessor } from './create-processor.js';
import { processorMigrations } from './schema/index.js';
import { parseSettings } from './settings.js';
import { unknownWorkflows } from './unknown-workflows.store.js';

const settings = settingsOrExit('processor', parseSettings(process.env));
const log = new JsonLog(settings.logLevel);
const stop = new AbortController();
/** Past its grace a drain is stuck: better to end than to hang. */
const STUCK_AFTER_GRACE_MS = 15_000;

let app: NestFastifyApplication | undefined;
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void shutDown(0));

try {
  await waitForWhatItNeeds();
  app = await createProcessor(settings, log, (error) => {
    log.error({ error: String(error) }, 'a consumer is dead; ending the process');
    void shutDown(1);
  });
  const url = await startProcessor(app, settings);
  say(
    `ready: processor on ${url}, ${settings.runSlots} run slots, OpenAI ${settings.openaiBaseUrl}, ${places()}`,
  );
} catch (error) {
  if (!stop.signal.aborted) {
    log.error({ error: explain(error) }, 'the processor could not start');
    await shutDown(1);
  }
}

async function waitForWhatItNeeds(): Promise<void> {
  const waiting = { signal: stop.signal, onWaiting: (line: string) => log.warn({}, line) };
  await waitForPostgres(settings.databaseUrl, waiting);
  await waitForPostgres(settings.contentDatabaseUrl, waiting);
  await requireMigrated('processor', settings.databaseUrl, processorMigrations);
  await requireMigrated('content', settings.contentDatabaseUrl, contentMigrations);
  await requireWorkflows();
  await waitForKafka(kafkaConnectionOf(settings, log), waiting);
}

async function requireMigrated(
  schema: string,
  url: string,
  migrations: Parameters<typeof missingMigrations>[2],
): Promise<void> {
  const missing = await missingMigrations(url, schema, migrations);
  if (missing.length === 0) return;
  log.error(
    { schema, missing },
    `schema ${schema} lacks ${missing.join(', ')}; run: node dist/apps/processor/src/migrate.js`,
  );
  process.exit(1);
}

/** A run keeps the version it was accepted with: a build that lacks it must not take its place. */
async function requireWorkflows(): Promise<void> {
  const missing = await unknownWorkflows(settings.databaseUrl, workflows);
  if (missing.length === 0) return;
  log.error(
    { missing },
    `unfinished runs need ${missing.join(', ')}; deploy a build that has them`,
  );
  process.exit(1);
}

async function shutDown(code: number): Promise<void> {
  if (stop.signal.aborted) return;
  stop.abort();
  const stuck = () => {
    log.error({}, 'the drain did not end in time; ending anyway');
    process.exit(1);
  };
  setTimeout(stuck, settings.drainMs * 2 + STUCK_AFTER_GRACE_MS).unref();
  await app?.close();
  process.exit(code);
}

function explain(error: unknown): string {
  if (error instanceof TopicMissingError) {
    return `${error.message}: node dist/dev/stack/create-topics.js`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Where it keeps things, without passwords. */
function places(): string {
  const place = (url: string) => `${new URL(url).host}${new URL(url).pathname}`;
  const databases = [settings.databaseUrl, settings.contentDatabaseUrl].map(place);
  const prefix = settings.topicPrefix ? ` (topics ${settings.topicPrefix}*)` : '';
  return `Postgres ${[...new Set(databases)].join(' and ')}, Kafka ${settings.kafkaBrokers.join(',')}${prefix}`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
