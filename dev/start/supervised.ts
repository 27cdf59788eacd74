/**
 * The frame of every command that runs children until it is told to stop: takes the data folder, gives the work a signal that
 * fires on Ctrl-C or when a child dies, names the dead child with the tail of its log, and leaves nothing behind.
 */
import { join } from 'node:path';
import { InterruptedError, listenForInterruption } from '../stack/interruption.js';
import type { Log } from '../stack/progress.js';
import { localFolder } from '../stack/repository.js';
import { StackError } from '../stack/stack-errors.js';
import { Supervisor, logTail } from '../stack/supervisor.js';
import type { ChildEnd } from '../stack/supervisor.js';

export interface Supervised {
  readonly supervisor: Supervisor;
  readonly dataFolder: string;
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
export async function runSupervised(work: (scene: Supervised) => Promise<void>): Promise<void> {
  const log: Log = (line) => console.log(line);
  const interruption = listenForInterruption(log);
  try {
    await inFolder(work, log, interruption);
  } catch (error) {
    process.exitCode = explain(error);
  }
}

async function inFolder(
  work: (scene: Supervised) => Promise<void>,
  log: Log,
  interruption: AbortSignal,
): Promise<void> {
  const dataFolder = join(localFolder, 'stack');
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
    await work({ supervisor, dataFolder, logFolder: join(localFolder, 'logs'), log, signal });
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
