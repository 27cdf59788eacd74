/**
 * Who runs Postgres, and from where. It refuses to run as root, so a root (a container, mostly) lends it the system user `postgres`.
 * That user can't enter a checkout below /root: then binaries and data live in /var/lib/holdfast, where only root can put things.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { postgresBinaries } from './postgres-binaries.js';
import type { PostgresBinaries } from './postgres-binaries.js';
import { systemUserForPostgres } from './postgres-user.js';
import type { SystemUser } from './postgres-user.js';
import type { Log } from './progress.js';

const run = promisify(execFile);
const ownFolder = '/var/lib/holdfast';

export interface PostgresHome extends PostgresBinaries {
  /** Undefined: we are no root, and it runs as ourselves. */
  readonly user: SystemUser | undefined;
  /** Where the data folder is; its parent exists and can be entered. */
  readonly folder: string;
}

export async function findPostgresHome(wantedFolder: string, log: Log): Promise<PostgresHome> {
  const [binaries, user] = await Promise.all([postgresBinaries(), systemUserForPostgres()]);
  await mkdir(dirname(wantedFolder), { recursive: true });
  if (!user) return { ...binaries, user, folder: wantedFolder };
  const reachable = (await canEnter(user, binaries.postgres)) ? binaries : await copyOf(binaries);
  if (await canEnter(user, dirname(wantedFolder)))
    return { ...reachable, user, folder: wantedFolder };
  const folder = elsewhere(wantedFolder);
  await mkdir(dirname(folder), { recursive: true });
  log(`The user "postgres" can't enter ${dirname(wantedFolder)}: its data is in ${folder}`);
  return { ...reachable, user, folder };
}

/** One folder in /var/lib/holdfast per folder wanted, always the same. */
export function elsewhere(wantedFolder: string): string {
  const key = createHash('sha256').update(wantedFolder).digest('hex').slice(0, 12);
  return join(ownFolder, `data-${key}`, basename(wantedFolder));
}

async function canEnter(user: SystemUser, path: string): Promise<boolean> {
  return run('/bin/sh', ['-c', 'test -x "$0"', path], { ...user, cwd: '/' }).then(
    () => true,
    () => false,
  );
}

/** Copied once per version: 60 MB. */
async function copyOf(binaries: PostgresBinaries): Promise<PostgresBinaries> {
  const native = dirname(dirname(binaries.postgres));
  const { mtimeMs, size } = await stat(binaries.postgres);
  const target = join(ownFolder, `postgres-${size}-${Math.round(mtimeMs)}`);
  const isThere = await stat(target).then(
    () => true,
    () => false,
  );
  if (!isThere) {
    await mkdir(ownFolder, { recursive: true, mode: 0o755 });
    const draft = await mkdtemp(`${target}.`);
    await cp(native, join(draft, 'native'), { recursive: true, verbatimSymlinks: true });
    await rename(join(draft, 'native'), target).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error; // else: another start was faster
    });
    await rm(draft, { recursive: true, force: true });
  }
  return { initdb: join(target, 'bin/initdb'), postgres: join(target, 'bin/postgres') };
}
