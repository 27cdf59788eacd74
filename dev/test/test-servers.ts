/** The servers that specs run on: named by HOLDFAST_TEST_DATABASE_URL and HOLDFAST_TEST_KAFKA, else thrown away afterwards. */
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../stack/progress.js';
import { startStack } from '../stack/start-stack.js';
import type { Stack } from '../stack/start-stack.js';
import { Supervisor } from '../stack/supervisor.js';

export interface TestServers extends Stack {
  close(): Promise<void>;
}

export async function provideTestServers(
  log: Log,
  signal: AbortSignal,
  { databaseUrl, kafkaBrokers }: Partial<Stack> = {
    databaseUrl: process.env.HOLDFAST_TEST_DATABASE_URL,
    kafkaBrokers: process.env.HOLDFAST_TEST_KAFKA,
  },
): Promise<TestServers> {
  if (databaseUrl && kafkaBrokers)
    return { databaseUrl, kafkaBrokers, close: () => Promise.resolve() };
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-test-'));
  await chmod(folder, 0o711); // started by root, Postgres runs as another user, who must get in
  const supervisor = await Supervisor.open(folder, log);
  supervisor.removeInTheEnd(folder);
  supervisor.onUnexpectedEnd((end) => log(`${end.name} ${end.how} (its log: ${end.logFile})`));
  try {
    const stack = await startStack({
      ...{ supervisor, log, signal, throwAway: true, dataFolder: folder },
      logFolder: join(folder, 'logs'),
      given: { databaseUrl, kafkaBrokers },
      ports: { postgres: { kind: 'any' }, kafka: { kind: 'any' } },
    });
    return { ...stack, close: () => supervisor.close() };
  } catch (error) {
    await supervisor.close();
    throw error;
  }
}
