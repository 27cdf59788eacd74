/**
 * Brings up the servers that Holdfast stands on, Postgres and Kafka side by side, both real. What DATABASE_URL or KAFKA_BROKERS
 * names already is taken as it is and never started, stopped or cleaned here.
 */
import { join } from 'node:path';
import { provideKafkaJars } from './kafka-jars.js';
import { startKafka } from './kafka-server.js';
import { choosePort } from './ports.js';
import type { PortWish } from './ports.js';
import { startPostgres } from './postgres-server.js';
import { withProgress } from './progress.js';
import type { Log } from './progress.js';
import { StackPortInUseError } from './stack-errors.js';
import type { Supervisor } from './supervisor.js';

export interface StackOptions {
  readonly supervisor: Supervisor;
  readonly dataFolder: string;
  readonly logFolder: string;
  readonly ports: { readonly postgres: PortWish; readonly kafka: PortWish };
  /** Data for one test run: quick to start and to stop, nothing flushed. */
  readonly throwAway: boolean;
  /** Servers of one's own. */
  readonly given: { readonly databaseUrl?: string; readonly kafkaBrokers?: string };
  readonly log: Log;
  readonly signal: AbortSignal;
}

export interface Stack {
  readonly databaseUrl: string;
  readonly kafkaBrokers: string;
}

/** Resolves when both take work. When it rejects, close the supervisor: it ends whatever was begun. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const parts = [
    bringUpPostgres({ ...options, signal }),
    bringUpKafka({ ...options, signal }),
  ] as const;
  try {
    const [databaseUrl, kafkaBrokers] = await Promise.all(parts);
    return { databaseUrl, kafkaBrokers };
  } catch (error) {
    failed.abort(error); // the other part stops waiting …
    await Promise.allSettled(parts); // … and starts nothing more behind our back
    throw error;
  }
}

async function bringUpPostgres(options: StackOptions): Promise<string> {
  const { supervisor, throwAway, given, log, signal } = options;
  if (given.databaseUrl) return given.databaseUrl;
  return onPort(options.ports.postgres, 'Postgres', log, (port) =>
    withProgress(log, 'Starting Postgres', () =>
      startPostgres({
        ...{ supervisor, port, throwAway, log, signal },
        folder: join(options.dataFolder, 'postgres'),
        logFile: join(options.logFolder, 'postgres.log'),
      }),
    ),
  );
}

async function bringUpKafka(options: StackOptions): Promise<string> {
  const { supervisor, throwAway, given, log, signal } = options;
  if (given.kafkaBrokers) return given.kafkaBrokers;
  const jars = await provideKafkaJars(log, signal);
  return onPort(options.ports.kafka, 'Kafka', log, async (port) => {
    const { port: controllerPort } = await choosePort({ kind: 'any' }, 'Kafka');
    return withProgress(log, 'Starting Kafka', () =>
      startKafka({
        ...{ supervisor, jars, port, controllerPort, throwAway, signal },
        folder: join(options.dataFolder, 'kafka'),
        logFile: join(options.logFolder, 'kafka.log'),
      }),
    );
  });
}

/** A port of our own choice may be taken between looking and listening: then another one. */
async function onPort<T>(
  wish: PortWish,
  what: string,
  log: Log,
  start: (port: number) => Promise<T>,
  turnsLeft = 3,
): Promise<T> {
  const chosen = await choosePort(wish, what);
  if (chosen.insteadOf !== null)
    log(`Port ${chosen.insteadOf} is busy: ${what} listens on ${chosen.port} instead`);
  try {
    return await start(chosen.port);
  } catch (error) {
    if (!(error instanceof StackPortInUseError) || wish.kind === 'exact' || turnsLeft <= 1)
      throw error;
    return onPort({ kind: 'any' }, what, log, start, turnsLeft - 1);
  }
}
