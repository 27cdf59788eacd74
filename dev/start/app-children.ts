/** Scripts of dist/ as children: those that run to their end, and those that stay after saying `ready:`. */
import { join } from 'node:path';
import { untilAborted } from '../stack/interruption.js';
import { withProgress } from '../stack/progress.js';
import type { Log } from '../stack/progress.js';
import { repositoryRoot } from '../stack/repository.js';
import { StackServerStartError } from '../stack/stack-errors.js';
import { logTail } from '../stack/supervisor.js';
import type { Child, ChildSpec, Supervisor } from '../stack/supervisor.js';

export interface AppSpec {
  readonly name: string;
  /** Below dist/. */
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface AppStarter {
  readonly supervisor: Supervisor;
  readonly logFolder: string;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const readyLimitMs = 120_000;
/** An app drains for 10 s by default; it gets that twice. */
const drainGraceMs = 20_000;

/** Resolves with the child once it has printed its `ready:` line. */
export async function startApp(starter: AppStarter, app: AppSpec): Promise<Child> {
  return withProgress(starter.log, `Starting ${app.name}`, async () => {
    let tellReady = () => {};
    const ready = new Promise<void>((resolve) => (tellReady = resolve));
    const child = await starter.supervisor.start(
      childSpec(starter, app, (line) => {
        if (line.startsWith('ready:')) tellReady();
        else passOn(starter.log, line);
      }),
    );
    await settled(starter, child, [ready.then(() => null), child.ended.then(({ how }) => how)]);
    child.up();
    return child;
  });
}

/** Resolves when the script has ended well. */
export async function runApp(starter: AppStarter, app: AppSpec): Promise<void> {
  await withProgress(starter.log, `Running ${app.name}`, async () => {
    const spec = childSpec(starter, app, (line) => passOn(starter.log, line));
    const child = await starter.supervisor.start(spec);
    await settled(starter, child, [
      child.ended.then(({ exitCode, how }) => (exitCode === 0 ? null : how)),
    ]);
  });
}

/** Waits for the first outcome: null is good, a text says what went wrong. */
async function settled(
  { signal }: AppStarter,
  child: Child,
  outcomes: readonly Promise<string | null>[],
): Promise<void> {
  const giveUp = AbortSignal.any([signal, AbortSignal.timeout(readyLimitMs)]);
  const tooLate = untilAborted(giveUp).then(() => `was not ready in ${readyLimitMs / 1000} s`);
  const failure = await Promise.race([...outcomes, tooLate]);
  signal.throwIfAborted();
  if (failure === null) return;
  throw new StackServerStartError(child.name, failure, child.logFile, await logTail(child.logFile));
}

function childSpec(starter: AppStarter, app: AppSpec, onLine: (line: string) => void): ChildSpec {
  return {
    name: app.name,
    command: process.execPath,
    args: ['--enable-source-maps', join(repositoryRoot, 'dist', app.script)],
    cwd: repositoryRoot,
    env: { ...process.env, ...app.env },
    logFile: join(starter.logFolder, `${app.name.replaceAll(' ', '-')}.log`),
    stopSignal: 'SIGTERM',
    graceMs: drainGraceMs,
    onLine,
  };
}

/** Children log to their files; that one of them waits for a server is for the person at the terminal. */
function passOn(log: Log, line: string): void {
  const waiting = /waiting for (Postgres|Kafka)[^"]*/.exec(line)?.[0];
  if (waiting !== undefined) log(waiting);
}
