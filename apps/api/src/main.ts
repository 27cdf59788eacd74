/** Starts the api: settings, then what it needs, then itself; SIGTERM drains it. */
import 'reflect-metadata';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { contentMigrations } from '#libs/content';
import { TopicMissingError, waitForKafka } from '#libs/messaging';
import { missingMigrations, waitForPostgres } from '#libs/postgres';
import { kafkaConnectionOf } from './connections.module.js';
import { createApi, startApi } from './create-api.js';
import { JsonLog, settingsOrExit } from '#libs/process';
import { apiMigrations } from './schema/index.js';
import { parseSettings } from './settings.js';

const settings = settingsOrExit('api', parseSettings(process.env));
const log = new JsonLog(settings.logLevel);
const stop = new AbortController();
/** Past its grace a drain is stuck: better to end than to hang. */
const STUCK_AFTER_GRACE_MS = 10_000;

let app: NestFastifyApplication | undefined;
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void shutDown(0));

try {
  await waitForWhatItNeeds();
  app = await createApi(settings, log, (error) => {
    log.error({ error: String(error) }, 'the consumer is dead; ending the process');
    void shutDown(1);
  });
  const url = await startApi(app, settings);
  say(`ready: api on ${url}, Postgres ${placesOf()}, Kafka ${kafkaPlace()}`);
} catch (error) {
  if (!stop.signal.aborted) {
    log.error({ error: explain(error) }, 'the api could not start');
    await shutDown(1);
  }
}

async function waitForWhatItNeeds(): Promise<void> {
  const waiting = { signal: stop.signal, onWaiting: (line: string) => log.warn({}, line) };
  await waitForPostgres(settings.databaseUrl, waiting);
  await waitForPostgres(settings.contentDatabaseUrl, waiting);
  await requireMigrated('api', settings.databaseUrl, apiMigrations);
  await requireMigrated('content', settings.contentDatabaseUrl, contentMigrations);
  await waitForKafka(kafkaConnectionOf(settings, log), waiting);
}

async function requireMigrated(
  schema: 'api' | 'content',
  url: string,
  migrations: Parameters<typeof missingMigrations>[2],
): Promise<void> {
  const missing = await missingMigrations(url, schema, migrations);
  if (missing.length === 0) return;
  log.error(
    { schema, missing },
    `schema ${schema} lacks ${missing.join(', ')}; run: node dist/apps/api/src/migrate.js`,
  );
  process.exit(1);
}

async function shutDown(code: number): Promise<void> {
  if (stop.signal.aborted) return;
  stop.abort();
  setTimeout(
    () => {
      log.error({}, 'the drain did not end in time; ending anyway');
      process.exit(1);
    },
    settings.drainMs * 2 + STUCK_AFTER_GRACE_MS,
  ).unref();
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
function placesOf(): string {
  const place = (url: string) => `${new URL(url).host}${new URL(url).pathname}`;
  const places = [settings.databaseUrl, settings.contentDatabaseUrl].map(place);
  return [...new Set(places)].join(' and ');
}

function kafkaPlace(): string {
  const prefix = settings.topicPrefix ? ` (topics ${settings.topicPrefix}*)` : '';
  return settings.kafkaBrokers.join(',') + prefix;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
