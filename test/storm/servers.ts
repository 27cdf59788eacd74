/** Postgres and Kafka of a storm: their own, thrown away afterwards, and struck dead and started again on the same data. */
import { join } from 'node:path';
import { startKafka } from '../../dev/stack/kafka-server.js';
import { provideKafkaJars } from '../../dev/stack/kafka-jars.js';
import { choosePort } from '../../dev/stack/ports.js';
import { startPostgres } from '../../dev/stack/postgres-server.js';
import type { Log } from '../../dev/stack/progress.js';
import type { Child, Supervisor } from '../../dev/stack/supervisor.js';

export interface StormServers {
  readonly databaseUrl: string;
  readonly kafkaBrokers: string;
  /** Resolves when it takes work again. */
  restartPostgres(): Promise<void>;
  restartKafka(): Promise<void>;
}

export async function startServers(
  supervisor: Supervisor,
  folder: string,
  log: Log,
  signal: AbortSignal,
): Promise<StormServers> {
  const jars = await provideKafkaJars(log, signal);
  const [postgresPort, port, controllerPort] = await Promise.all(
    ['Postgres', 'Kafka', 'Kafka'].map(
      async (what) => (await choosePort({ kind: 'any' }, what)).port,
    ),
  );
  const common = { throwAway: true, log, signal };
  const postgres = new Restartable(supervisor, (starter) =>
    startPostgres({
      ...{ ...common, supervisor: starter, port: postgresPort! },
      folder: join(folder, 'postgres'),
      logFile: join(folder, 'logs/postgres.log'),
    }),
  );
  const kafka = new Restartable(supervisor, (starter) =>
    startKafka({
      ...{ ...common, supervisor: starter, jars, port: port!, controllerPort: controllerPort! },
      folder: join(folder, 'kafka'),
      logFile: join(folder, 'logs/kafka.log'),
    }),
  );
  const [databaseUrl, kafkaBrokers] = await Promise.all([postgres.start(), kafka.start()]);
  return {
    ...{ databaseUrl, kafkaBrokers },
    restartPostgres: () => postgres.restart(),
    restartKafka: () => kafka.restart(),
  };
}

/** Throw-away servers are stopped without a goodbye: Kafka by SIGKILL, Postgres by SIGQUIT. */
class Restartable {
  private child: Child | undefined;

  constructor(
    private readonly supervisor: Supervisor,
    private readonly begin: (starter: Pick<Supervisor, 'start'>) => Promise<string>,
  ) {}

  start(): Promise<string> {
    return this.begin({
      start: async (spec) => (this.child = await this.supervisor.start(spec)),
    });
  }

  async restart(): Promise<void> {
    await this.child?.stop();
    await this.start();
  }
}
