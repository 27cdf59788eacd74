/**
 * Tells whether a process id still means the process it meant when it was written down. Ids are reused, so an id alone
 * never justifies a signal: id and start mark together do.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface ProcessIdentity {
  readonly pid: number;
  /** Linux: boot id and start tick; elsewhere what `ps -o lstart` prints. Only compared, never read. */
  readonly startMark: string;
}

/** Undefined where no such process lives (a zombie counts as gone). */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  const startMark = process.platform === 'linux' ? await linuxMark(pid) : await psMark(pid);
  return startMark === undefined ? undefined : { pid, startMark };
}

export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  return (await identify(identity.pid))?.startMark === identity.startMark;
}

/** Sends a signal to exactly this process; false where it is gone. */
export async function signalProcess(
  identity: ProcessIdentity,
  signal: NodeJS.Signals,
): Promise<boolean> {
  if (!(await isAlive(identity))) return false;
  try {
    return process.kill(identity.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** State and start tick of one line of /proc/<pid>/stat; the name in it may hold blanks and brackets. */
export function parseProcStat(stat: string): { state: string; startTick: string } | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTick] = [fields[0], fields[19]];
  return state && startTick ? { state, startTick } : undefined;
}

let bootId: Promise<string> | undefined;

async function linuxMark(pid: number): Promise<string | undefined> {
  try {
    bootId ??= readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    const stat = parseProcStat(await readFile(`/proc/${pid}/stat`, 'utf8'));
    if (!stat || stat.state === 'Z' || stat.state === 'X') return undefined;
    return `${(await bootId).trim()} ${stat.startTick}`;
  } catch {
    return undefined;
  }
}

async function psMark(pid: number): Promise<string | undefined> {
  try {
    const { stdout } = await run('ps', ['-o', 'stat=,lstart=', '-p', String(pid)]);
    const line = stdout.trim();
    return line === '' || line.startsWith('Z') ? undefined : line.replace(/^\S+\s+/, '');
  } catch {
    return undefined;
  }
}
