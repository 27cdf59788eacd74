/** Postgres refuses to run as root; in a container that has only root, a system user `postgres` runs it. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { StackError } from './stack-errors.js';

const run = promisify(execFile);

export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/** Undefined where we are no root and Postgres can run as ourselves. */
export async function systemUserForPostgres(): Promise<SystemUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  return (await find()) ?? (await create());
}

async function find(): Promise<SystemUser | undefined> {
  try {
    const [uid, gid] = await Promise.all([
      run('id', ['-u', 'postgres']),
      run('id', ['-g', 'postgres']),
    ]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return undefined;
  }
}

async function create(): Promise<SystemUser> {
  try {
    await run('useradd', ['--system', '--user-group', '--no-create-home', 'postgres']);
  } catch (error) {
    throw new StackError(
      'stack_postgres_user',
      'Postgres refuses to run as root, and the system user "postgres" could not be made. ' +
        'Run this as another user, or make it: useradd --system --user-group postgres',
      { cause: error },
    );
  }
  const user = await find();
  if (!user) throw new StackError('stack_postgres_user', 'useradd made no user "postgres"');
  return user;
}
