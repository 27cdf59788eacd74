/**
 * `processes.json` in a data folder: which process owns the folder and which children it started, each by id and start mark.
 * Lock and list for cleaning up in one file.
 */
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { endProcess } from './end-process.js';
import type { Ending } from './end-process.js';
import { identify, isAlive } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';
import { StackAlreadyRunningError } from './stack-errors.js';

export interface RecordedChild extends ProcessIdentity, Ending {
  readonly name: string;
}

interface Recorded {
  readonly owner: ProcessIdentity;
  readonly children: readonly RecordedChild[];
}

export type TakeDecision =
  | { readonly kind: 'free' }
  | { readonly kind: 'held'; readonly pid: number }
  | { readonly kind: 'abandoned'; readonly orphans: readonly RecordedChild[] };

/** What a record found in the folder means: nothing, a living owner, or what a dead one left behind. */
export function decideTake(
  found: Recorded | undefined,
  isLiving: (identity: ProcessIdentity) => boolean,
): TakeDecision {
  if (!found) return { kind: 'free' };
  if (isLiving(found.owner)) return { kind: 'held', pid: found.owner.pid };
  return { kind: 'abandoned', orphans: found.children.filter(isLiving) };
}

export class ProcessRecord {
  private children: readonly RecordedChild[] = [];
  private writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly file: string,
    private readonly owner: ProcessIdentity,
  ) {}

  static async take(file: string, log: (line: string) => void): Promise<ProcessRecord> {
    const owner = await identify(process.pid);
    if (!owner) throw new Error('This system does not show its processes (/proc or ps is needed)');
    const record = new ProcessRecord(file, owner);
    for (let turn = 0; turn < 3; turn++) {
      if (await record.createExclusively()) return record;
      const found = await readRecord(file);
      const living = await livingOf(found);
      const decision = decideTake(found, (identity) => living.has(identity.pid));
      switch (decision.kind) {
        case 'held':
          throw new StackAlreadyRunningError(file, decision.pid);
        case 'abandoned':
          for (const orphan of [...decision.orphans].reverse()) {
            log(
              `Ending ${orphan.name} (process ${orphan.pid}), left over from a run that was killed`,
            );
            await endProcess(orphan, orphan);
          }
          break;
        case 'free': // unreadable or gone meanwhile
          break;
      }
      await rm(file, { force: true });
    }
    throw new Error(`Could not take ${file}: several starts at once? Try again.`);
  }

  async add(child: RecordedChild): Promise<void> {
    this.children = [...this.children, child];
    await this.save();
  }

  async remove(pid: number): Promise<void> {
    this.children = this.children.filter((child) => child.pid !== pid);
    await this.save();
  }

  async giveBack(): Promise<void> {
    await this.writing;
    await rm(this.file, { force: true });
  }

  /** `link` fails where the name exists: of two starters one wins, and nobody ever sees half a file. */
  private async createExclusively(): Promise<boolean> {
    const draft = await this.writeDraft();
    try {
      await link(draft, this.file);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    } finally {
      await rm(draft, { force: true });
    }
  }

  private save(): Promise<void> {
    this.writing = this.writing.then(async () => rename(await this.writeDraft(), this.file));
    return this.writing;
  }

  private async writeDraft(): Promise<string> {
    const draft = `${this.file}.${process.pid}`;
    const recorded: Recorded = { owner: this.owner, children: this.children };
    await writeFile(draft, JSON.stringify(recorded, null, 2));
    return draft;
  }
}

async function readRecord(file: string): Promise<Recorded | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Recorded;
  } catch {
    return undefined;
  }
}

async function livingOf(recorded: Recorded | undefined): Promise<Set<number>> {
  const living = new Set<number>();
  if (!recorded) return living;
  for (const identity of [recorded.owner, ...recorded.children])
    if (await isAlive(identity)) living.add(identity.pid);
  return living;
}
