/**
 * The frame of every command that runs children until it is told to stop: takes the data folder, gives the work a signal that
 * fires on Ctrl-C or when a child dies, names the dead child with the tail of its log, and leaves nothing behind.
 */
import { dirname, join } from 'node:path';
import { InterruptedError, listenForInterruption } from './interruption.js';
import type { Log } from './progress.js';
import { localFolder } from './repository.js';
import { StackError } from './stack-errors.js';
import { Supervisor, logTail } from './supervisor.js';
import type { ChildEnd } from './supervisor.js';

export interface Supervised {
  readonly supervisor: Supervisor;
  readonly dataFolder: string;
  /** Logs of all children. */
  readonly logFolder: string;
  readonly log: Log;
  /** Fires on Ctrl-C, and when a child ends unasked. */
  readonly signal: AbortSignal;
}

class ChildDiedError extends Error {
  override readonly name = 'ChildDiedError';
  constructor(readonly end: ChildEnd) {
    super(`${end.name} ${end.how}`);
  }
}

/** Runs the work and sets the exit code: 0 when it returns (Ctrl-C after all was up included), else that of the failure. */
export async function runSupervised(
  work: (scene: Supervised) => Promise<void>,
  dataFolder = join(localFolder, 'stack'),
): Promise<void> {
  const log: Log = (line) => console.log(line);
  const interruption = listenForInterruption(log);
  try {
    await inFolder(dataFolder, work, log, interruption);
  } catch (error) {
    process.exitCode = explain(error);
  }
}

async function inFolder(
  dataFolder: string,
  work: (scene: Supervised) => Promise<void>,
  log: Log,
  interruption: AbortSignal,
): Promise<void> {
  const supervisor = await Supervisor.open(dataFolder, log);
  const death = new AbortController();
  supervisor.onUnexpectedEnd((end) => {
    void logTail(end.logFile).then((tail) => {
      console.error(`${end.name} ${end.how}. Its log (${end.logFile}) ends with:\n${tail}`);
      death.abort(new ChildDiedError(end));
    });
  });
  const signal = AbortSignal.any([interruption, death.signal]);
  try {
    await work({
      supervisor,
      dataFolder,
      logFolder: join(dirname(dataFolder), 'logs'),
      log,
      signal,
    });
    death.signal.throwIfAborted();
  } finally {
    await supervisor.close();
  }
}

function explain(error: unknown): number {
  if (error instanceof InterruptedError) return error.exitCode;
  if (!(error instanceof ChildDiedError))
    // which has been told already
    console.error(error instanceof StackError ? error.message : error);
  return 1;
}
