/**
 * Starts the children of one command (Postgres, Kafka, simulator, apps) and sees to it that none outlives it.
 *
 * Invariants
 * (S1) One supervisor per data folder: `processes.json` names its owner and its children by id and start mark.
 * (S2) Only processes named there are ever signalled, and only while their start mark still fits.
 * (S3) Children live in process groups of their own: the terminal's Ctrl-C reaches the supervisor alone, which then ends
 *      them in reverse order of their start.
 * (S4) A supervisor that dies without a word is survived by nobody: its watchdog ends the children, and should the watchdog
 *      be gone too, the next supervisor on the folder does it.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { createWriteStream } from 'node:fs';
import { endProcess } from './end-process.js';
import type { Ending } from './end-process.js';
import { identify } from './process-identity.js';
import { ProcessRecord } from './process-record.js';
import { repositoryRoot } from './repository.js';
import { StackServerStartError } from './stack-errors.js';
import type { WatchdogOrder } from './watchdog.js';

export interface ChildSpec extends Ending {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Postgres refuses to run as root. */
  readonly user?: { readonly uid: number; readonly gid: number };
  readonly logFile: string;
  /** Called with every line of standard output; without it the child writes to its log file directly. */
  readonly onLine?: (line: string) => void;
}

export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** Settles when the process has ended, however that came about. */
  readonly ended: Promise<ChildEnd>;
  /** It is ready: from now on its end is news. Until then whoever starts it sees to that. */
  up(): void;
  stop(): Promise<void>;
}

export interface ChildEnd {
  readonly name: string;
  readonly how: string;
  readonly exitCode: number | null;
  readonly logFile: string;
}

export class Supervisor {
  private readonly children: Child[] = [];
  private readonly deaths: ((end: ChildEnd) => void)[] = [];

  private constructor(
    private readonly record: ProcessRecord,
    private readonly watchdog: ChildProcess,
  ) {}

  /** Takes the folder (S1), after ending what an earlier supervisor may have left behind (S4). */
  static async open(folder: string, log: (line: string) => void): Promise<Supervisor> {
    await mkdir(folder, { recursive: true });
    const record = await ProcessRecord.take(join(folder, 'processes.json'), log);
    // Built, wherever this runs from: specs run it from its source.
    const watchdog = spawn(process.execPath, [join(repositoryRoot, 'dist/dev/stack/watchdog.js')], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    watchdog.unref();
    watchdog.stdin.on('error', () => undefined); // a watchdog that was killed: the record still names the children
    return new Supervisor(record, watchdog);
  }

  async start(spec: ChildSpec): Promise<Child> {
    await mkdir(dirname(spec.logFile), { recursive: true });
    const process = await spawnLogged(spec);
    let phase: 'starting' | 'up' | 'stopping' = 'starting';
    const ended = new Promise<ChildEnd>((resolve) => {
      process.once('exit', (code, signal) => {
        const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
        resolve({ name: spec.name, how, exitCode: code, logFile: spec.logFile });
      });
    });
    const identity = await identify(process.pid);
    if (identity) {
      const { name, stopSignal, graceMs } = spec;
      await this.record.add({ ...identity, name, stopSignal, graceMs });
      this.order({ watch: { ...identity, name, stopSignal, graceMs } });
    }
    const child: Child = {
      name: spec.name,
      pid: process.pid,
      logFile: spec.logFile,
      ended,
      up: () => (phase = 'up'),
      stop: async () => {
        phase = 'stopping';
        if (identity) await endProcess(identity, spec); // (S2)
        await ended;
      },
    };
    this.children.push(child);
    void ended.then(async (end) => {
      this.children.splice(this.children.indexOf(child), 1);
      this.order({ forget: child.pid });
      await this.record.remove(child.pid);
      if (phase === 'up') for (const tell of this.deaths) tell(end);
    });
    return child;
  }

  /** Called for each child that ends after it was up, although nobody stopped it. */
  onUnexpectedEnd(listener: (end: ChildEnd) => void): void {
    this.deaths.push(listener);
  }

  /** Has the watchdog remove the folder in the end, whatever becomes of us. */
  removeInTheEnd(folder: string): void {
    this.order({ remove: folder });
  }

  /** Ends every child, last started first (S3), and gives the folder back. */
  async close(): Promise<void> {
    for (const child of [...this.children].reverse()) await child.stop();
    await this.record.giveBack();
    const gone = new Promise((resolve) => this.watchdog.once('exit', resolve));
    this.watchdog.ref();
    this.watchdog.stdin?.end();
    if (this.watchdog.exitCode === null && this.watchdog.signalCode === null) await gone;
  }

  private order(order: WatchdogOrder): void {
    this.watchdog.stdin?.write(`${JSON.stringify(order)}\n`);
  }
}

/** The end of a log file, for messages about a child that died. */
export async function logTail(logFile: string, lines = 15): Promise<string> {
  const text = await readFile(logFile, 'utf8').catch(() => '');
  const tail = text.trimEnd().split('\n').slice(-lines);
  return tail.map((line) => `  ${line}`).join('\n');
}

async function spawnLogged(spec: ChildSpec): Promise<ChildProcess & { pid: number }> {
  await writeFile(spec.logFile, ''); // a log of this start, not of all starts
  const log = openSync(spec.logFile, 'a');
  try {
    const child = spawn(spec.command, spec.args, {
      cwd: spec.cwd,
      env: spec.env ?? process.env,
      uid: spec.user?.uid,
      gid: spec.user?.gid,
      detached: true, // (S3)
      stdio: ['ignore', spec.onLine ? 'pipe' : log, log],
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    if (spec.onLine && child.stdout) forwardLines(child.stdout, spec.logFile, spec.onLine);
    if (child.pid === undefined)
      throw new StackServerStartError(spec.name, 'has no id', spec.logFile, '');
    return child as ChildProcess & { pid: number };
  } finally {
    closeSync(log);
  }
}

function forwardLines(
  output: NodeJS.ReadableStream,
  logFile: string,
  onLine: (line: string) => void,
): void {
  const file = createWriteStream(logFile, { flags: 'a' });
  createInterface({ input: output })
    .on('line', (line) => {
      file.write(`${line}\n`);
      onLine(line);
    })
    .on('close', () => file.end());
}
