/** `npm run stack`: only Postgres and Kafka, until Ctrl-C. `--data <folder>` keeps them elsewhere than in .holdfast/stack. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { InterruptedError, listenForInterruption, untilAborted } from './interruption.js';
import { portWish } from './ports.js';
import { localFolder } from './repository.js';
import { StackError } from './stack-errors.js';
import { startStack } from './start-stack.js';
import { Supervisor, logTail } from './supervisor.js';

const log = (line: string) => console.log(line);

async function main(signal: AbortSignal): Promise<number> {
  const { values } = parseArgs({ options: { data: { type: 'string' } } });
  const dataFolder = values.data ?? join(localFolder, 'stack');
  const supervisor = await Supervisor.open(dataFolder, log);
  try {
    const dead = new Promise<number>((resolve) => {
      supervisor.onUnexpectedEnd((end) => {
        void logTail(end.logFile).then((tail) => {
          log(`${end.name} ${end.how}. Its log (${end.logFile}) ends with:\n${tail}`);
          resolve(1);
        });
      });
    });
    const stack = await startStack({
      ...{ supervisor, dataFolder, log, signal },
      logFolder: join(dataFolder, 'logs'),
      throwAway: false,
      given: {},
      ports: {
        postgres: portWish(process.env.POSTGRES_PORT, 'POSTGRES_PORT', 54320),
        kafka: portWish(process.env.KAFKA_PORT, 'KAFKA_PORT', 19092),
      },
    });
    log(`ready: DATABASE_URL=${stack.databaseUrl} KAFKA_BROKERS=${stack.kafkaBrokers}`);
    return await Promise.race([dead, untilAborted(signal).then(() => 0)]);
  } finally {
    log('Stopping Kafka and Postgres …');
    await supervisor.close();
  }
}

try {
  process.exitCode = await main(listenForInterruption(log));
} catch (error) {
  if (error instanceof InterruptedError) process.exitCode = error.exitCode;
  else {
    console.error(error instanceof StackError ? error.message : error);
    process.exitCode = 1;
  }
}
