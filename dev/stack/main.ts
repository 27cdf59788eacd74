/**
 * `npm run stack`: only Postgres and Kafka, until Ctrl-C. `--data <folder>` keeps data elsewhere than in .holdfast/stack (logs
 * beside it). Of the two, what DATABASE_URL or KAFKA_BROKERS names is not started.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { untilAborted } from './interruption.js';
import { portWish } from './ports.js';
import { startStack } from './start-stack.js';
import { runSupervised } from './supervised.js';

const { values } = parseArgs({ options: { data: { type: 'string' } } });
const { DATABASE_URL, KAFKA_BROKERS, POSTGRES_PORT, KAFKA_PORT } = process.env;

await runSupervised(
  async (scene) => {
    const stack = await startStack({
      ...scene,
      throwAway: false,
      given: { databaseUrl: DATABASE_URL, kafkaBrokers: KAFKA_BROKERS },
      ports: {
        postgres: portWish(POSTGRES_PORT, 'POSTGRES_PORT', 54320),
        kafka: portWish(KAFKA_PORT, 'KAFKA_PORT', 19092),
      },
    });
    scene.log(`ready: DATABASE_URL=${stack.databaseUrl} KAFKA_BROKERS=${stack.kafkaBrokers}`);
    await untilAborted(scene.signal);
    scene.log('Stopping the servers …');
  },
  values.data === undefined ? undefined : resolve(values.data),
);
