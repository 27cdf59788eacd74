/**
 * Real: Postgres, the call ledger's statements, in the batches that many calls at once make of them. Stands in: owners and OpenAI, who
 * do what a random script says. The invariants are in ledger-script.ts.
 */
import fc from 'fast-check';
import { CallLedger, gatewayMigrations } from '#libs/openai-gateway';
import { Database, migrate } from '#libs/postgres';
import { fuzzSeed } from '../../fuzz/fuzz-seed.js';
import { freshDatabase, type FreshDatabase } from '../../support/stack.js';
import { LedgerScene, ledgerScripts } from './ledger-script.js';

const scripts = 2_000;
const atOnce = 200;

let fresh: FreshDatabase;
let database: Database;
beforeAll(async () => {
  fresh = await freshDatabase();
  const { url } = fresh;
  await migrate({ url, schema: 'processor', migrations: gatewayMigrations });
  database = new Database({ url, applicationName: 'ledger-model', maxConnections: 8 });
});
afterAll(async () => {
  await database?.close();
  await fresh?.drop();
});

it(`${scripts} calls, whoever owns them, are as the model says (seed ${fuzzSeed})`, async () => {
  const ledger = new CallLedger(database);
  const queue = fc.sample(ledgerScripts, { seed: fuzzSeed, numRuns: scripts }).values();
  const player = async () => {
    for (const script of queue)
      await new LedgerScene(database, ledger, script).play().catch((cause: unknown) => {
        throw new Error(`broken by ${JSON.stringify(script)}`, { cause });
      });
  };
  await Promise.all(Array.from({ length: atOnce }, player));
}, 120_000);
