/**
 * How a process of Holdfast comes up and goes down: it waits for what it needs, starts, says `ready:` on stdout, and drains
 * when it is told to end. Both signals drain; a drain that hangs is ended.
 */
import type { FieldLog } from './field-log.js';

export interface ProcessPlan {
  /** As in "the api". */
  readonly name: string;
  readonly log: FieldLog;
  /** What to run against an error at start, by its code. */
  readonly mends: Readonly<Record<string, string>>;
  /** How long a drain may let work in flight go on. */
  readonly drainMs: number;
  /** Waits for databases and brokers; throws where waiting mends nothing. Ends with the signal. */
  prepare(signal: AbortSignal): Promise<void>;
  /** Resolves with what the ready line says. `onFatal`: the process can't go on, and is drained and ended. */
  start(onFatal: (error: Error) => void): Promise<string>;
  /** Drains what was started. */
  stop(): Promise<void>;
}

/** A process that has closed all it opened ends within this by itself. */
const END_WITHIN_MS = 1_000;
/** Past its grace a drain is stuck: better to end than to hang. */
const STUCK_AFTER_GRACE_MS = 30_000;

export async function startProcess(plan: ProcessPlan): Promise<void> {
  const { name, log } = plan;
  const stopping = new AbortController();
  endOnUncaught(plan);
  const shutDown = async (exitCode: number) => {
    if (stopping.signal.aborted) return;
    stopping.abort();
    setTimeout(
      () => {
        log.error({}, 'the drain did not end in time; ending anyway');
        process.exit(1);
      },
      plan.drainMs * 2 + STUCK_AFTER_GRACE_MS,
    ).unref();
    await plan.stop();
    endBy(exitCode, log);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void shutDown(0));
  try {
    await plan.prepare(stopping.signal);
    const said = await plan.start((error) => {
      log.error({ error }, `the ${name} cannot go on; ending it`);
      void shutDown(1);
    });
    process.stdout.write(`ready: ${said}\n`);
  } catch (error) {
    if (stopping.signal.aborted) return;
    log.error({ error, run: mendOf(error, plan.mends) }, `the ${name} could not start`);
    await shutDown(1);
  }
}

/** A process with nothing open ends by itself; one that does not has left something open, which is a bug: said, and ended. */
function endBy(exitCode: number, log: FieldLog): void {
  process.exitCode = exitCode;
  setTimeout(() => {
    const problem = [...new Set(process.getActiveResourcesInfo())].join(', ');
    log.warn({ problem }, 'something was left open after the drain; ending anyway');
    process.exit(exitCode);
  }, END_WITHIN_MS).unref();
}

function mendOf(error: unknown, mends: ProcessPlan['mends']): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? mends[error.code] : undefined;
}

/** Node would print the error as it is, payload and all; it ends as it would have, with a line that can be read by machines. */
function endOnUncaught({ name, log }: ProcessPlan): void {
  process.on('uncaughtException', (error, origin) => {
    log.error(
      { error, because: origin },
      `the ${name} met an error that nobody handles; ending it`,
    );
    process.exit(1);
  });
}

/** Where databases are, without passwords and without repeats. */
export function placesOf(urls: readonly string[]): string {
  const places = urls.map((url) => `${new URL(url).host}${new URL(url).pathname}`);
  return [...new Set(places)].join(' and ');
}
