/** A database as the migrations make it, on a Postgres that is thrown away afterwards, or on the one for specs where that is named. */
import { listenForInterruption } from '../stack/interruption.js';
import { makeTemplate } from '../test/template-database.js';
import { provideTestServers } from '../test/test-servers.js';

/** Migrating needs none, but settings ask for one. */
const noKafka = '127.0.0.1:1';

export async function withFreshDatabase<T>(use: (databaseUrl: string) => Promise<T>): Promise<T> {
  const log = (line: string) => console.log(line);
  const signal = listenForInterruption(log);
  const databaseUrl = process.env.HOLDFAST_TEST_DATABASE_URL;
  const servers = await provideTestServers(log, signal, { databaseUrl, kafkaBrokers: noKafka });
  try {
    const fresh = await makeTemplate(servers.databaseUrl, noKafka, signal);
    try {
      const url = new URL(servers.databaseUrl);
      url.pathname = `/${fresh.name}`;
      return await use(url.href);
    } finally {
      await fresh.drop();
    }
  } finally {
    await servers.close();
  }
}
