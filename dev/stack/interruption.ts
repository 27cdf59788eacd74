/** Ctrl-C, `kill` and a closed terminal as one AbortSignal. The first one asks for an orderly end; impatience gets an answer. */
import type { Log } from './progress.js';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Thrown by whatever was waiting when the signal came. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  constructor(readonly signalName: (typeof signals)[number]) {
    super(`Interrupted by ${signalName}`);
  }

  /** What shells expect of a command that a signal ended. */
  get exitCode(): number {
    return { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }[this.signalName];
  }
}

export function listenForInterruption(log: Log): AbortSignal {
  const interruption = new AbortController();
  for (const name of signals)
    process.on(name, () => {
      if (interruption.signal.aborted) log('Still stopping: everything is being ended in order …');
      else interruption.abort(new InterruptedError(name));
    });
  return interruption.signal;
}

export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
