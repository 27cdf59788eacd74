/** Many random scripts at once against one ledger, so that its statements get batches. */
import fc from 'fast-check';
import { CallLedger } from '#libs/openai-gateway';
import { fuzzSeed } from '../../fuzz/fuzz-seed.js';
import { gatewayDatabase } from '../../support/gateway.js';
import { LedgerScene, ledgerScripts } from './ledger-script.js';

const atOnce = 200;

/** @throws with the first script that the ledger does not play as the model does */
export async function playLedger(scripts: number): Promise<void> {
  const { database, drop } = await gatewayDatabase(8);
  const ledger = new CallLedger(database);
  const queue = fc.sample(ledgerScripts, { seed: fuzzSeed, numRuns: scripts }).values();
  const player = async () => {
    for (const script of queue)
      await new LedgerScene(database, ledger, script).play().catch((cause: unknown) => {
        throw new Error(`broken by ${JSON.stringify(script)}`, { cause });
      });
  };
  try {
    await Promise.all(Array.from({ length: atOnce }, player));
  } finally {
    await drop();
  }
}
