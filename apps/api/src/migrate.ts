/** Brings the schemas `api` and `content` up to date: an explicit step before the api starts. */
import 'reflect-metadata';
import { contentMigrations } from '#libs/content';
import { migrate, waitForPostgres } from '#libs/postgres';
import { settingsOrExit } from '#libs/process';
import { apiMigrations } from './schema/index.js';
import { parseDatabaseSettings } from './settings.js';

const settings = settingsOrExit('api', parseDatabaseSettings(process.env));
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
process.once('SIGINT', () => stop.abort());

await bringUp('api', settings.databaseUrl, apiMigrations);
await bringUp('content', settings.contentDatabaseUrl, contentMigrations);

async function bringUp(
  schema: string,
  url: string,
  migrations: Parameters<typeof migrate>[0]['migrations'],
): Promise<void> {
  await waitForPostgres(url, { signal: stop.signal, onWaiting: (line) => say(line) });
  const ran = await migrate({ url, schema, migrations });
  say(ran.length > 0 ? `schema ${schema}: ran ${ran.join(', ')}` : `schema ${schema}: up to date`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
