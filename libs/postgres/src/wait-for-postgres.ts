/**
 * Waits at start for a Postgres that is not there yet, and says so, instead of a crash loop.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isNativeError } from 'node:util/types';
import pg from 'pg';
import { isTransientError } from './postgres-errors.js';

export interface WaitForPostgresOptions {
  /** Ends the wait: the promise is then rejected with the signal's reason. */
  readonly signal: AbortSignal;
  /** One line for people: at the first failure, then every 5 s. */
  readonly onWaiting: (line: string) => void;
}

const TRY_EVERY_MS = 250;
const SAY_EVERY_MS = 5_000;
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Resolves once a statement has been answered. What waiting cannot mend (wrong password, no such database) is
 * thrown at once.
 */
export async function waitForPostgres(
  url: string,
  { signal, onWaiting }: WaitForPostgresOptions,
): Promise<void> {
  const startedAt = performance.now();
  let nextLineAt = 0;
  for (;;) {
    signal.throwIfAborted();
    const failure = await tryOnce(url);
    if (failure === null) return;
    if (!isTransientError(failure)) throw failure;
    const waitedMs = performance.now() - startedAt;
    if (waitedMs >= nextLineAt) {
      onWaiting(
        `waiting for Postgres at ${addressOf(url)}: ${reasonOf(failure)} (${Math.round(waitedMs / 1000)} s so far)`,
      );
      nextLineAt = waitedMs + SAY_EVERY_MS;
    }
    await sleep(TRY_EVERY_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

async function tryOnce(url: string): Promise<Error | null> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'holdfast.wait',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: CONNECT_TIMEOUT_MS,
  });
  client.on('error', () => undefined); // the statement in flight is rejected with it
  try {
    await client.connect();
    await client.query('SELECT 1');
    return null;
  } catch (error) {
    if (isNativeError(error)) return error;
    throw error;
  } finally {
    await client.end().catch(() => undefined); // a connection that never was
  }
}

/** Host, port and database; never the password. */
function addressOf(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}

/** A refused connection to a name with two addresses is an AggregateError, whose message is empty. */
function reasonOf(error: Error): string {
  if (error.message !== '') return error.message;
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
