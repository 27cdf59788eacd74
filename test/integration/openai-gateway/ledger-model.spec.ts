/**
 * Real: Postgres, the call ledger's statements, in the batches that many calls at once make of them. Stands in: owners and OpenAI, who
 * do what a random script says. The invariants are in ledger-script.ts. A short look; test/faults/ledger-model.spec.ts plays thousands.
 */
import { fuzzSeed } from '../../fuzz/fuzz-seed.js';
import { playLedger } from './play-ledger.js';

it(`500 calls, whoever owns them, are as the model says (seed ${fuzzSeed})`, () => playLedger(500));
