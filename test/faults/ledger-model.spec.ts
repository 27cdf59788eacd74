/**
 * Real: Postgres, the call ledger's statements. Stands in: owners and OpenAI, who do what a random script says: see
 * test/integration/openai-gateway/ledger-script.ts.
 */
import { fuzzSeed } from '../fuzz/fuzz-seed.js';
import { playLedger } from '../integration/openai-gateway/play-ledger.js';

it(`3,000 calls, whoever owns them, are as the model says (seed ${fuzzSeed})`, async () => {
  await playLedger(3_000);
}, 240_000);
