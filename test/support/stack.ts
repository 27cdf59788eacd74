/**
 * Real: Postgres 18 and Apache Kafka 4, the same servers for all spec files of a run (started by `npm run specs`, or named by
 * HOLDFAST_TEST_DATABASE_URL and HOLDFAST_TEST_KAFKA). Stands in: nothing.
 * Spec files don't meet: each takes a database of its own and a topic prefix of its own, so they may run side by side.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';

export interface FreshDatabase {
  readonly name: string;
  readonly url: string;
  /** Ends its connections and drops it. */
  drop(): Promise<void>;
}

/** The tables of both apps, as their migrations make them; or none. */
export type DatabaseContent = 'migrated' | 'empty';

/**
 * A database for one spec file. `migrated` clones the runner's template (tens of milliseconds); where no template is given it is
 * an error, so that no spec passes on tables that are not there.
 */
export async function freshDatabase(content: DatabaseContent = 'empty'): Promise<FreshDatabase> {
  const name = `spec_${uniqueSuffix()}`;
  const template = content === 'migrated' ? required('HOLDFAST_TEST_TEMPLATE') : 'template0';
  await administer(`create database ${name} template ${pg.escapeIdentifier(template)}`);
  return {
    name,
    url: databaseUrl(name),
    drop: () => administer(`drop database if exists ${name} with (force)`),
  };
}

/** For HOLDFAST_TOPIC_PREFIX: topics and groups of one spec file, on the broker that all share. */
export function freshTopicPrefix(): string {
  return `t${uniqueSuffix()}.`;
}

export function kafkaBrokers(): string[] {
  return required('HOLDFAST_TEST_KAFKA').split(',');
}

function databaseUrl(name: string): string {
  const url = new URL(required('HOLDFAST_TEST_DATABASE_URL'));
  url.pathname = `/${name}`;
  return url.href;
}

async function administer(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: required('HOLDFAST_TEST_DATABASE_URL') });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

function uniqueSuffix(): string {
  return randomBytes(5).toString('hex');
}

function required(setting: string): string {
  const value = process.env[setting];
  if (!value) throw new Error(`${setting} is not set: run specs with "npm run specs -- <path>"`);
  return value;
}
