/**
 * `npm run specs -- [jest arguments]`: servers to be thrown away, a migrated template, jest, and the line `N passed, N failed`.
 * The line comes last whatever happens; the exit code is 0 only for a run in which nothing failed.
 */
import { availableParallelism } from 'node:os';
import { InterruptedError, listenForInterruption } from '../stack/interruption.js';
import { StackError } from '../stack/stack-errors.js';
import { needsServers, withWorkers } from './jest-args.js';
import { runJest } from './run-jest.js';
import { formatCounts } from './spec-counts.js';
import type { SpecCounts } from './spec-counts.js';
import { makeTemplate } from './template-database.js';
import { provideTestServers } from './test-servers.js';

const log = (line: string) => console.log(line);

async function runSpecs(args: readonly string[], signal: AbortSignal): Promise<SpecCounts> {
  if (!needsServers(args)) return runJest(args, {}, signal);
  const servers = await provideTestServers(log, signal);
  try {
    const template = await makeTemplate(servers.databaseUrl, servers.kafkaBrokers, signal);
    try {
      return await runJest(
        args,
        {
          HOLDFAST_TEST_DATABASE_URL: servers.databaseUrl,
          HOLDFAST_TEST_KAFKA: servers.kafkaBrokers,
          HOLDFAST_TEST_TEMPLATE: template.name,
        },
        signal,
      );
    } finally {
      await template.drop();
    }
  } finally {
    await servers.close();
  }
}

async function main(): Promise<void> {
  const signal = listenForInterruption(log);
  let counts: SpecCounts = { passed: 0, failed: 1 };
  try {
    counts = await runSpecs(withWorkers(process.argv.slice(2), availableParallelism()), signal);
  } catch (error) {
    if (!(error instanceof InterruptedError))
      console.error(error instanceof StackError ? error.message : error);
  }
  const interruption: unknown = signal.reason;
  if (interruption instanceof InterruptedError) process.exitCode = interruption.exitCode;
  else process.exitCode = counts.failed > 0 ? 1 : 0;
  console.log(formatCounts(counts));
}

await main();
