/** A database migrated once, which spec files clone: `create database … template …` takes tens of milliseconds. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { repositoryRoot } from '../stack/repository.js';
import { StackError } from '../stack/stack-errors.js';

const run = promisify(execFile);
const migrateScripts = ['apps/api/src/migrate.js', 'apps/processor/src/migrate.js'];

export interface TemplateDatabase {
  readonly name: string;
  drop(): Promise<void>;
}

export async function makeTemplate(
  serverUrl: string,
  kafkaBrokers: string,
  signal: AbortSignal,
): Promise<TemplateDatabase> {
  const name = `template_${process.pid}_${Date.now().toString(36)}`;
  await administer(serverUrl, `create database ${name} template template0`);
  const drop = () => administer(serverUrl, `drop database if exists ${name} with (force)`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  try {
    for (const script of migrateScripts) await migrate(script, url.href, kafkaBrokers, signal);
  } catch (error) {
    await drop();
    throw error;
  }
  return { name, drop };
}

async function migrate(
  script: string,
  databaseUrl: string,
  kafkaBrokers: string,
  signal: AbortSignal,
): Promise<void> {
  const path = join(repositoryRoot, 'dist', script);
  if (!existsSync(path)) return;
  try {
    await run(process.execPath, ['--enable-source-maps', path], {
      env: { ...process.env, DATABASE_URL: databaseUrl, KAFKA_BROKERS: kafkaBrokers },
      signal,
      timeout: 60_000,
    });
  } catch (error) {
    signal.throwIfAborted();
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new StackError('stack_migration', `${script} failed:\n${stdout}${stderr}`, {
      cause: error,
    });
  }
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
