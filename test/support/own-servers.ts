/**
 * Servers of one spec file's own, to be struck without harm to others. Real: all of them. From `openOwnServers` to `close` the
 * scenes of this file are on them.
 */
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../../dev/stack/progress.js';
import { Supervisor } from '../../dev/stack/supervisor.js';
import { makeTemplate } from '../../dev/test/template-database.js';

export interface ServerPlace {
  readonly supervisor: Supervisor;
  readonly folder: string;
  readonly log: Log;
  /** Ends what is being started; each start has a limit of its own besides. */
  readonly signal: AbortSignal;
}

export interface ServerAddresses {
  readonly databaseUrl: string;
  readonly kafkaBrokers: string;
}

export type OwnServers<Servers> = Servers & { close(): Promise<void> };

const silent = () => undefined;

export async function openOwnServers<Servers extends ServerAddresses>(
  start: (place: ServerPlace) => Promise<Servers>,
): Promise<OwnServers<Servers>> {
  const shared = { ...process.env };
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-servers-'));
  await chmod(folder, 0o711); // started by root, Postgres runs as another user, who must get in
  const supervisor = await Supervisor.open(folder, silent);
  supervisor.removeInTheEnd(folder);
  const ending = new AbortController();
  const close = async () => {
    ending.abort();
    await supervisor.close();
    Object.assign(process.env, shared);
  };
  try {
    const { signal } = ending;
    const servers = await start({ supervisor, folder, log: silent, signal });
    const { databaseUrl, kafkaBrokers } = servers;
    const { name } = await makeTemplate(databaseUrl, kafkaBrokers, signal);
    process.env.HOLDFAST_TEST_DATABASE_URL = databaseUrl;
    process.env.HOLDFAST_TEST_KAFKA = kafkaBrokers;
    process.env.HOLDFAST_TEST_TEMPLATE = name;
    return { ...servers, close };
  } catch (error) {
    await close();
    throw error;
  }
}
