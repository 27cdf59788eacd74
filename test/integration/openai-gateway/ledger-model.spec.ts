/**
 * Real: Postgres, the call ledger's statements, in the batches that many calls at once make of them. Stands in: owners and OpenAI, who
 * do what a script says, random or fixed. The invariants are in ledger-script.ts. A short look; test/faults/ledger-model.spec.ts
 * plays thousands.
 */
import { CallLedger } from '#libs/openai-gateway';
import { fuzzSeed } from '../../fuzz/fuzz-seed.js';
import { gatewayDatabase } from '../../support/gateway.js';
import { LedgerScene, type Luck, type Step } from './ledger-script.js';
import { playLedger } from './play-ledger.js';

it(`500 calls, whoever owns them, are as the model says (seed ${fuzzSeed})`, () => playLedger(500));

describe('orders that chance seldom finds', () => {
  const claim: Step = { kind: 'claim' };
  const ends: Step = { kind: 'end' };
  const goOn =
    (who: number, stocked: boolean) =>
    (luck: Luck = 'good'): Step => ({ kind: 'go_on', who, ready: true, stocked, luck });
  /** The first owner sends; the next one finds that, and gives it up as unknown. */
  const takenOver = (stocked: boolean) => {
    const [newest, before] = [goOn(0, stocked), goOn(1, stocked)];
    const steps = [newest(), claim, newest(), newest(), newest()];
    return { steps, newest, before };
  };
  const [bare, anchored] = [takenOver(false), takenOver(true)];
  const again = (step: () => Step, times: number) => Array.from({ length: times }, () => step());
  /** A call is lost, and its anchor is empty: that is not written down yet. */
  const lost = [goOn(0, true)(), goOn(0, true)('late'), ...again(goOn(0, true), 2)];

  it.each<[string, readonly Step[]]>([
    [
      'a first sending turns out not to have left while the second is on its way',
      [...bare.steps, bare.newest(), bare.before('did_not_leave')],
    ],
    [
      'a first sending comes to nothing while the second is on its way',
      [...bare.steps, bare.newest(), bare.before('refused')],
    ],
    [
      'an anchor tells of an answer that OpenAI has told of meanwhile',
      [...anchored.steps, anchored.before(), anchored.before(), ends, anchored.newest()],
    ],
    [
      'an anchor was found empty by two, and the one says so when the next sending is lost',
      [...lost, claim, ...again(goOn(0, true), 5), goOn(0, true)('late'), goOn(1, true)()],
    ],
  ])('%s', async (_, steps) => {
    const { database, drop } = await gatewayDatabase(2);
    try {
      const ledger = new CallLedger(database);
      await new LedgerScene(database, ledger, { whenUnknown: 'resend', steps }).play();
    } finally {
      await drop();
    }
  });
});
