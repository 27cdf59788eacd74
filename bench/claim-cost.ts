/** `npm run bench:claim`: what Postgres does for one claim of 32, with few and with very many runs waiting: plan and buffers. */
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClaimRunsStore } from '../apps/processor/src/execute-runs/claim-runs.store.js';
import { Outbox } from '../libs/messaging/src/index.js';
import { Database, type Rows, type Statement, type Tx } from '../libs/postgres/src/index.js';
import { runApp } from '../dev/start/app-children.js';
import { listenForInterruption } from '../dev/stack/interruption.js';
import { startStack } from '../dev/stack/start-stack.js';
import { Supervisor } from '../dev/stack/supervisor.js';

const SLOTS = 32;
const LANES = 50;
const MAKE_LANES = `
  INSERT INTO processor.lanes (tenant, model) SELECT 'tenant-' || n, 'gpt' FROM generate_series(1, $1::int) n`;
const INSERT_READY = `
  INSERT INTO processor.executions
    (run_id, tenant, model, priority, workflow, workflow_version, request, origin, status, dispatch, max_attempts)
  SELECT gen_random_uuid(), 'tenant-' || (n % $2::int + 1), 'gpt', 0, 'answer', 1, '{"labels": {}}', '{}', 'ready', 1, 5
  FROM generate_series(1, $1::int) n`;

const log = (line: string) => console.log(line);
const signal = listenForInterruption(log);
const folder = await mkdtemp(join(tmpdir(), 'holdfast-claim-'));
await chmod(folder, 0o711); // started by root, Postgres runs as another user, who must get in
const supervisor = await Supervisor.open(folder, log);
supervisor.removeInTheEnd(folder);
try {
  const logFolder = join(folder, 'logs');
  const { databaseUrl, kafkaBrokers } = await startStack({
    ...{ supervisor, log, signal, throwAway: true, dataFolder: folder, logFolder, given: {} },
    ports: { postgres: { kind: 'any' }, kafka: { kind: 'any' } },
  });
  const env = { DATABASE_URL: databaseUrl, KAFKA_BROKERS: kafkaBrokers };
  const script = 'apps/processor/src/migrate.js';
  await runApp({ supervisor, logFolder, log, signal }, { name: 'migrations', script, env });
  const database = new Database({ url: databaseUrl, applicationName: 'bench-claim' });
  await database.query(MAKE_LANES, [LANES]);
  for (const waiting of [100, 100_000]) {
    await database.query(INSERT_READY, [waiting, LANES]);
    log(`── a claim of ${SLOTS} while ${waiting} more runs wait in ${LANES} lanes`);
    await claimOnce(database); // reads what is not in memory yet
    log(await claimOnce(database));
  }
  await database.close();
} finally {
  await supervisor.close();
}
process.exit(0);

/** The plan of the store's own statement. It is told that nothing came of it, so that it stops there. */
async function claimOnce(database: Database): Promise<string> {
  let plan = '';
  const explain = async (tx: Tx, { text }: Statement, values: readonly unknown[]) => {
    const { rows } = await tx.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN (ANALYZE, BUFFERS) ${text}`,
      values,
    );
    plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    return { rows: [], rowCount: 0 } satisfies Rows<never>;
  };
  const explaining = new Proxy(database, {
    get: (target, name) =>
      name === 'transaction'
        ? (work: (tx: Tx) => Promise<unknown>) =>
            target.transaction((tx) =>
              work({
                tx: true,
                send: () => undefined,
                query: (statement, values) => explain(tx, statement as Statement, values ?? []),
              }),
            )
        : (Reflect.get(target, name) as unknown),
  });
  const outbox = new Outbox({ schema: 'processor', source: '/bench' });
  await new ClaimRunsStore(explaining, outbox, 'bench', 10_000).claim(SLOTS);
  return plan;
}
