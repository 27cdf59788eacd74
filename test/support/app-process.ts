/**
 * Real: a process of its own, started from dist/ with the node that runs the specs. Stands in: nothing.
 * For faults that only a process can have: kill -9, a lost lease, an exit code. Runs what `npm run build` built last.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { repositoryRoot } from '../../dev/stack/repository.js';
import { patienceMs } from './patience.js';

export interface AppProcessOptions {
  /** Below dist/, e.g. `apps/processor/src/main.js`. */
  readonly script: string;
  /** Another build than dist/. */
  readonly build?: string;
  readonly args?: readonly string[];
  /** Added to a small clean environment: settings of the machine that runs the specs don't leak in. */
  readonly env: Readonly<Record<string, string>>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface AppProcess {
  readonly pid: number;
  /** The `ready:` line; rejects with the output when the process ends first or the time is up. */
  ready(withinMs?: number): Promise<string>;
  /** The first line, past or future, that matches. */
  line(pattern: RegExp, withinMs?: number): Promise<string>;
  /** All that it has written so far, both streams. */
  output(): string;
  readonly exited: Promise<Exit>;
  /** It runs, under the pid that it began with. */
  isUp(): boolean;
  /** SIGTERM: drains. */
  stop(): Promise<Exit>;
  /** SIGKILL: no chance to say goodbye. */
  killHard(): Promise<Exit>;
  /** SIGSTOP and SIGCONT: a process that hangs, then comes back and believes it still owns things. */
  freeze(): void;
  thaw(): void;
  /** It has stopped itself at the point that HOLDFAST_PAUSE_AT names: kill it there, or thaw it. */
  paused(withinMs?: number): Promise<string>;
}

const dist = join(repositoryRoot, 'dist');
/**
 * Compiled once, and not at each of the hundred starts of a run of all specs: a third of the time that a start takes. Other builds
 * stand in folders that nobody sees again.
 */
const compiled = join(repositoryRoot, 'node_modules/.cache/holdfast/compiled');

const started = new Set<AppProcess>();
let isOver = false;

/** Nothing that a spec file has started outlives it, nor is started any more: what is opened too late has nobody to close it. */
export async function endAllApps(): Promise<void> {
  isOver = true;
  await Promise.all([...started].map((app) => app.killHard()));
}

export function startApp(options: AppProcessOptions): AppProcess {
  if (isOver) throw new Error(`${options.script}: the specs of this file are over`);
  const child = spawn(process.execPath, nodeArgs(options), {
    cwd: repositoryRoot,
    env: {
      ...{ PATH: process.env.PATH, HOME: process.env.HOME },
      ...(options.build === undefined && { NODE_COMPILE_CACHE: compiled }),
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  child.channel?.unref(); // the spec does not wait for it; it ends when the spec's process does
  const lines = collectLines(child);
  const exited = new Promise<Exit>((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal })),
  );
  const isUp = () => child.exitCode === null && child.signalCode === null;
  const end = async (signal: NodeJS.Signals) => {
    if (isUp()) child.kill(signal);
    return exited;
  };
  const line = (pattern: RegExp, withinMs = patienceMs) =>
    lines.first(pattern, withinMs, exited, options.script);
  const app: AppProcess = {
    pid: child.pid ?? NaN,
    ready: (withinMs) => line(/^ready:/, withinMs),
    line,
    output: () => lines.text(),
    exited,
    isUp,
    stop: () => end('SIGTERM'),
    killHard: () => end('SIGKILL'),
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    paused: (withinMs) => line(/^paused: /, withinMs),
  };
  started.add(app);
  void exited.then(() => started.delete(app));
  return app;
}

/** Runs a script of dist/ to its end; rejects with its output where that is not exit code 0. */
export async function runToEnd(options: AppProcessOptions): Promise<string> {
  const app = startApp(options);
  const { code, signal } = await app.exited;
  if (code === 0) return app.output();
  throw new Error(
    `${options.script} ended with ${signal ?? `exit code ${code}`}:\n${app.output()}`,
  );
}

function nodeArgs({ script, args = [], build = dist }: AppProcessOptions): string[] {
  const bound = join(dist, 'test/support/end-with-parent.js');
  return ['--enable-source-maps', '--import', bound, join(build, script), ...args];
}

function collectLines(child: ChildProcess) {
  const lines: string[] = [];
  const waiters = new Set<(line: string) => void>();
  for (const stream of [child.stdout, child.stderr])
    if (stream)
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line);
        for (const waiter of waiters) waiter(line);
      });
  return {
    text: () => lines.join('\n'),
    first(pattern: RegExp, withinMs: number, exited: Promise<Exit>, name: string): Promise<string> {
      const past = lines.find((line) => pattern.test(line));
      if (past !== undefined) return Promise.resolve(past);
      return new Promise((resolve, reject) => {
        const settle = (act: () => void) => {
          waiters.delete(waiter);
          clearTimeout(timer);
          act();
        };
        const fail = (why: string) =>
          settle(() =>
            reject(new Error(`${name} ${why}, no line ${pattern}:\n${lines.join('\n')}`)),
          );
        const waiter = (line: string) => {
          if (pattern.test(line)) settle(() => resolve(line));
        };
        const timer = setTimeout(() => fail(`took over ${withinMs} ms`), withinMs);
        waiters.add(waiter);
        void exited.then(({ code, signal }) => fail(`ended (${signal ?? code})`));
      });
    },
  };
}
