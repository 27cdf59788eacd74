/** One Postgres and one Kafka, thrown away afterwards, and struck dead and started again on the same data. */
import { join } from 'node:path';
import { startKafka } from '../../dev/stack/kafka-server.js';
import { provideKafkaJars } from '../../dev/stack/kafka-jars.js';
import { choosePort } from '../../dev/stack/ports.js';
import { startPostgres } from '../../dev/stack/postgres-server.js';
import type { ServerPlace } from './own-servers.js';
import { Restartable } from './restartable.js';

export interface Servers {
  readonly databaseUrl: string;
  readonly kafkaBrokers: string;
  readonly postgres: Restartable;
  readonly kafka: Restartable;
}

export async function startServers(place: ServerPlace): Promise<Servers> {
  const [postgres, kafka] = await Promise.all([postgresIn(place), kafkaIn(place)]);
  const [databaseUrl, kafkaBrokers] = await Promise.all([postgres.start(), kafka.start()]);
  return { databaseUrl, kafkaBrokers, postgres, kafka };
}

/** Not started yet. */
export async function postgresIn({
  supervisor,
  folder,
  log,
  signal,
}: ServerPlace): Promise<Restartable> {
  const port = await freePort('Postgres');
  return new Restartable(supervisor, (starter) =>
    startPostgres({
      ...{ supervisor: starter, port, throwAway: true, log, signal },
      folder: join(folder, 'postgres'),
      logFile: join(folder, 'logs/postgres.log'),
    }),
  );
}

async function kafkaIn({ supervisor, folder, log, signal }: ServerPlace): Promise<Restartable> {
  const jars = await provideKafkaJars(log, signal);
  const [port, controllerPort] = [await freePort('Kafka'), await freePort('Kafka')];
  return new Restartable(supervisor, (starter) =>
    startKafka({
      ...{ supervisor: starter, jars, port, controllerPort, throwAway: true, signal },
      folder: join(folder, 'kafka'),
      logFile: join(folder, 'logs/kafka.log'),
    }),
  );
}

export async function freePort(what: string): Promise<number> {
  return (await choosePort({ kind: 'any' }, what)).port;
}
