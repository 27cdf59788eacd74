/** CPU time of processes and all their descendants, from /proc (Linux). */
import { readdir, readFile } from 'node:fs/promises';

/** Linux counts in hundredths of a second wherever it runs today (USER_HZ). */
const TICKS_PER_SECOND = 100;

interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /** Own and of descendants that have ended and were waited for. */
  readonly cpuSeconds: number;
}

/** By name: seconds of CPU used so far by that process and everything below it. */
export async function cpuSecondsOf(
  processes: Readonly<Record<string, number>>,
): Promise<Record<string, number>> {
  const stats = await allProcesses();
  const sums = Object.entries(processes).map(
    ([name, pid]) => [name, sumBelow(pid, stats)] as const,
  );
  return Object.fromEntries(sums);
}

/** The process whose parent is `parent` and whose command line holds `text`. */
export async function childRunning(text: string, parent: number): Promise<number> {
  for (const { pid, parent: actual } of await allProcesses()) {
    if (actual !== parent) continue;
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.includes(text)) return pid;
  }
  throw new Error(`No child process runs ${text}`);
}

/** Resident memory in MiB. */
export async function memoryMiBOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

function sumBelow(pid: number, stats: readonly ProcessStat[]): number {
  const own = stats.find((each) => each.pid === pid)?.cpuSeconds ?? 0;
  const children = stats.filter((each) => each.parent === pid);
  return children.reduce((sum, child) => sum + sumBelow(child.pid, stats), own);
}

async function allProcesses(): Promise<ProcessStat[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)),
  );
  return stats.flatMap((text) => (text === null ? [] : [parseStat(text)]));
}

/** proc(5): fields after the command name, which stands in parentheses and may hold anything. */
function parseStat(text: string): ProcessStat {
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [, parent = 0] = fields;
  const ticks = fields.slice(11, 15).reduce((sum, each) => sum + each, 0);
  return { pid: parseInt(text, 10), parent, cpuSeconds: ticks / TICKS_PER_SECOND };
}
