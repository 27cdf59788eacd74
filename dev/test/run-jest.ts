/** Runs jest on the specs and reads what came of it. Its own output goes to the terminal as it comes. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { localFolder, repositoryRoot } from '../stack/repository.js';
import { countSpecs } from './spec-counts.js';
import type { JestReport, SpecCounts } from './spec-counts.js';

const reportFile = join(localFolder, 'specs.json');
const stopLimitMs = 10_000;
/** The fault specs take the longest; one that spins for ever must not hold a build machine. */
const runLimitMs = 45 * 60_000;
const lingerMs = 10_000;

export async function runJest(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<SpecCounts> {
  await mkdir(dirname(reportFile), { recursive: true });
  await rm(reportFile, { force: true });
  const jest = join(repositoryRoot, 'node_modules/jest/bin/jest.js');
  const exitCode = await runNode(
    ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', jest].concat(
      ...['--setupFilesAfterEnv', join(repositoryRoot, 'test/support/end-with-specs.ts')],
      ...['--testSequencer', join(repositoryRoot, 'dev/test/sequencer.mjs')],
      ...['--json', `--outputFile=${reportFile}`],
      args,
    ),
    env,
    signal,
  );
  return countSpecs(await readReport(), exitCode);
}

function runNode(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: repositoryRoot,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'inherit'], // with --json the report for people is on standard error
    });
    // Ctrl-C reaches jest by itself; a plain `kill` of ours does not.
    const stop = () => {
      child.kill('SIGTERM');
      setTimeout(() => child.kill('SIGKILL'), stopLimitMs).unref();
    };
    const lingering = onceWritten(reportFile, () =>
      setTimeout(() => {
        console.log(
          `Jest still runs ${lingerMs / 1000} s after its report: a spec left something open.`,
        );
        stop();
      }, lingerMs),
    );
    const tooLong = setTimeout(() => {
      console.log(`Jest still runs after ${runLimitMs / 60_000} minutes: ended.`);
      stop();
    }, runLimitMs);
    signal.addEventListener('abort', stop, { once: true });
    child.once('error', reject);
    child.once('exit', (code) => {
      signal.removeEventListener('abort', stop);
      lingering.cancel();
      clearTimeout(tooLong);
      resolve(code ?? 1);
    });
  });
}

/** The report is the last thing that jest writes; what goes on after it is a leak of some spec. */
function onceWritten(file: string, start: () => NodeJS.Timeout): { cancel(): void } {
  let timer: NodeJS.Timeout | undefined;
  const poll = setInterval(() => {
    if (timer === undefined && existsSync(file)) timer = start();
  }, 1_000);
  return {
    cancel: () => {
      clearInterval(poll);
      clearTimeout(timer);
    },
  };
}

async function readReport(): Promise<JestReport | undefined> {
  try {
    return JSON.parse(await readFile(reportFile, 'utf8')) as JestReport;
  } catch {
    return undefined; // jest ended before it could write one
  }
}
