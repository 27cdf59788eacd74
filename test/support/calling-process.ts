/**
 * A process that makes model calls at once, with a gateway of its own, as a processor would: for what only several processes can
 * show. It is ready, waits for whoever holds the lock `GO`, calls, and tells in one line what came of it.
 */
import { nanoUsd } from '#libs/domain';
import { OpenAiGateway, type ModelCallRequest } from '#libs/openai-gateway';
import { Database, statement } from '#libs/postgres';

export interface CallingOrder {
  readonly databaseUrl: string;
  readonly baseUrl: string;
  /** By name, in nano-dollars for today. */
  readonly tenantBudgets: readonly (readonly [string, string])[];
  readonly requests: readonly ModelCallRequest[];
}

/** Of Postgres, advisory: who holds it keeps the calls from beginning. */
export const GO = 20_261_126;

/** The order is the environment variable `ORDER`, as JSON. */
async function main({ databaseUrl, baseUrl, tenantBudgets, requests }: CallingOrder) {
  const database = new Database({ url: databaseUrl, applicationName: 'calling-process' });
  const ignore = () => undefined;
  const tenants = new Map(tenantBudgets.map(([name, nano]) => [name, nanoUsd(BigInt(nano))]));
  const gateway = new OpenAiGateway({
    ...{ database, baseUrl, apiKey: 'sk-spec', dayBudgets: { tenants, workflows: new Map() } },
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    timing: { firstPollMs: 20, maxPollMs: 50 },
  });
  process.stdout.write('ready: to call\n');
  await database.transaction((tx) => tx.query(LOCK_SHARED, [GO]));
  const { signal } = new AbortController();
  const owner = { fence: 1n, signal, isLeaseAlive: () => true };
  const outcomes = await Promise.all(requests.map((each) => gateway.callModel(each, owner)));
  const kinds = Object.groupBy(outcomes, ({ kind }) => kind);
  const counts = Object.entries(kinds).map(([kind, of]) => `${kind}=${of.length}`);
  process.stdout.write(`outcomes: ${counts.sort().join(' ')}\n`);
  await gateway.close();
  await database.close();
}

const LOCK_SHARED = statement(
  'spec.lock_shared',
  `SELECT pg_advisory_xact_lock_shared($1::bigint)::text`,
);

if (process.env.ORDER !== undefined) await main(JSON.parse(process.env.ORDER) as CallingOrder);
