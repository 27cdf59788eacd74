/** What each run of the demo is doing now: which of its news deserves a line, and the lines that are redrawn meanwhile. */
import type { RunHistoryEntry } from '#libs/contracts';
import type { RunProgress, RunStatus } from '#libs/domain';

export interface RunNews {
  readonly status: RunStatus;
  readonly message: string;
  readonly progress: RunProgress | null;
}

export function newsOf(entry: RunHistoryEntry): RunNews {
  const { progress } = entry.data as { progress?: RunProgress | null };
  return { status: entry.status, message: entry.message, progress: progress ?? null };
}

/** A change of state always; progress when it begins and each time another quarter is done. */
export function deservesLine(before: RunNews | undefined, now: RunNews): boolean {
  if (before?.status !== now.status) return true;
  return quarterOf(now.progress) > quarterOf(before.progress);
}

function quarterOf(progress: RunProgress | null): number {
  if (!progress?.itemsTotal) return -1;
  return Math.floor((4 * (progress.itemsDone ?? 0)) / progress.itemsTotal);
}

/** "████████░░░░ 7 of 23": measured items only; empty where there are none. */
export function progressBar(progress: RunProgress | null, width = 16): string {
  if (!progress?.itemsTotal) return '';
  const done = progress.itemsDone ?? 0;
  const filled = Math.round((width * done) / progress.itemsTotal);
  return `${'█'.repeat(filled)}${'░'.repeat(width - filled)} ${done} of ${progress.itemsTotal}`;
}
