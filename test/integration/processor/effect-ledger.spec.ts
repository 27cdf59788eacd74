/** Real: Postgres, the processor's stores. Stands in: nothing; what a receiver would have answered is written here. */
import type { DeliveryEnd } from '#libs/webhooks';
import type { Claim } from '../../../apps/processor/src/execute-runs/claim.js';
import { effectIdOf } from '../../../apps/processor/src/execute-runs/delivery-id.js';
import {
  EffectLedger,
  type Sending,
} from '../../../apps/processor/src/execute-runs/effect-ledger.store.js';
import {
  aDecision,
  aFailure,
  aWork,
  openProcessorFixture,
  type ProcessorFixture,
  type SpecProcessor,
} from './processor-fixture.js';

let fixture: ProcessorFixture;
let one: SpecProcessor;
let two: SpecProcessor;
let ledger: EffectLedger;
let late: EffectLedger;
let runId: string;
let claim: Claim;

beforeAll(async () => {
  fixture = await openProcessorFixture();
  [one, two] = [fixture.processor('one'), fixture.processor('two')];
  [ledger, late] = [new EffectLedger(two.database), new EffectLedger(one.database)];
});
afterAll(() => fixture.stop());
beforeEach(async () => {
  await fixture.empty();
  ({ runId } = aWork());
  await one.admit.admit(aWork({ runId }));
  [claim] = (await one.claims.claim(1)) as [Claim];
});

const effectId = () => effectIdOf({ tenant: 'default', runId, step: 1 });
const planned = (body = '{"n":1}') => ({
  ...{ tenant: 'default', runId, step: 1, effectId: effectId(), target: 'crm', idempotent: false },
  body: Buffer.from(body),
});
const sending = ({ fence }: Claim, changes: Partial<Sending> = {}): Sending => ({
  ...{ runId, effectId: effectId(), fence, from: 'planned', attempt: 1, host: 'crm.test' },
  ...changes,
});
const done: DeliveryEnd = { state: 'done', status: 200, answer: Buffer.from('ok\0') };
const unclear: DeliveryEnd = {
  ...{ state: 'unknown', answer: null },
  failure: {
    ...{ class: 'outcome_unknown', code: 'webhook_reply_lost', httpStatus: null },
    ...{ message: 'lost', retryAfterMs: null },
  },
};

async function takenOver(): Promise<Claim> {
  await fixture.expire(runId);
  await two.rescue.rescueExpired();
  return ((await two.claims.claim(1)) as [Claim])[0];
}

async function row(): Promise<Record<string, unknown>> {
  const [effect] = await fixture.sql('SELECT * FROM processor.effects WHERE run_id = $1', [runId]);
  return effect!;
}

describe('an effect', () => {
  it('says what was planned first, whatever is computed later', async () => {
    await late.open(planned('{"n":1}'), claim.fence);
    const newer = await takenOver();
    const found = await ledger.open(planned('{"n":2}'), newer.fence);
    expect(found).toMatchObject({ state: 'planned', attempt: 0, body: Buffer.from('{"n":1}') });
  });

  it('has the same name whoever asks, and another for each run, step and tenant', () => {
    const named = { tenant: 'default', runId, step: 1 };
    expect(effectIdOf({ ...named, runId: runId.toUpperCase() })).toBe(effectIdOf(named));
    const others = [{ step: 2 }, { tenant: 'other' }, { runId: aWork().runId }];
    const ids = others.map((other) => effectIdOf({ ...named, ...other }));
    expect(new Set([effectIdOf(named), ...ids]).size).toBe(4);
  });

  it('is sent by nobody who has lost the run, nor between the loss and the next claim', async () => {
    await late.open(planned(), claim.fence);
    await fixture.expire(runId);
    await two.rescue.rescueExpired();
    expect(await late.markSending(sending(claim))).toBe(false);
    const [newer] = (await two.claims.claim(1)) as [Claim];
    expect(await late.markSending(sending(claim))).toBe(false);
    expect(await late.open(planned(), claim.fence)).toBeNull();
    expect(await ledger.markSending(sending(newer))).toBe(true);
  });

  it('is not sent once a cancel is stored', async () => {
    await ledger.open(planned(), claim.fence);
    await two.admit.admit(aDecision(runId, 'cancel'));
    expect(await ledger.markSending(sending(claim))).toBe(false);
    expect(await ledger.open(planned(), claim.fence)).toMatchObject({ cancelRequested: true });
  });

  it('may be marked again for the same sending, and only once for the next', async () => {
    await ledger.open(planned(), claim.fence);
    expect(await ledger.markSending(sending(claim))).toBe(true);
    expect(await ledger.markSending(sending(claim))).toBe(true);
    expect(await ledger.markSending(sending(claim, { attempt: 2 }))).toBe(false);
    expect(await row()).toMatchObject({ state: 'sending', attempt_count: 1, host: 'crm.test' });
  });

  it('that did not leave stands where it stood, also where somebody called it unknown', async () => {
    await ledger.open(planned(), claim.fence);
    await ledger.markSending(sending(claim));
    await ledger.end(effectId(), 1, unclear);
    await late.putBack(sending(claim));
    expect(await row()).toMatchObject({ state: 'planned', attempt_count: 0, failure: null });
  });
});

describe('what came of a sending', () => {
  it('is written by whoever knows it, also where the run is another by now', async () => {
    await late.open(planned(), claim.fence);
    await late.markSending(sending(claim));
    const newer = await takenOver();
    expect(await ledger.end(effectId(), 1, unclear)).toBe(true);
    expect(await late.end(effectId(), 1, done)).toBe(true);
    expect(await ledger.open(planned(), newer.fence)).toMatchObject({ state: 'done', status: 200 });
  });

  it('does not end another sending', async () => {
    await ledger.open(planned(), claim.fence);
    await ledger.markSending(sending(claim));
    await ledger.end(effectId(), 1, unclear);
    await ledger.markSending(sending(claim, { from: 'unknown', attempt: 2 }));
    expect(await late.end(effectId(), 1, done)).toBe(false);
    expect(await late.end(effectId(), 1, unclear)).toBe(false);
    expect(await row()).toMatchObject({ state: 'sending', possible_duplicate: true });
  });

  it('that is known stays: nothing undoes what is done', async () => {
    await ledger.open(planned(), claim.fence);
    await ledger.markSending(sending(claim));
    await ledger.end(effectId(), 1, done);
    expect(await ledger.end(effectId(), 1, unclear)).toBe(false);
    expect(await ledger.markSending(sending(claim, { attempt: 2 }))).toBe(false);
    await late.putBack(sending(claim));
    expect(await row()).toMatchObject({ state: 'done', http_status: 200, answer: done.answer });
  });
});

describe('a person', () => {
  async function inReview(end: DeliveryEnd): Promise<void> {
    await ledger.open(planned(), claim.fence);
    await ledger.markSending(sending(claim));
    await ledger.end(effectId(), 1, end);
    await one.moves.move(claim, { kind: 'needs_review', failure: aFailure() });
  }

  it('who redrives a run has its unclear effect sent again, and that is booked', async () => {
    await inReview(unclear);
    await two.admit.admit(aDecision(runId, 'redrive'));
    expect(await row()).toMatchObject({
      ...{ state: 'planned', attempt_count: 1, possible_duplicate: true },
    });
    expect(await late.end(effectId(), 1, done)).toBe(true); // the truth, after all
    expect(await row()).toMatchObject({ state: 'done' });
  });

  it('who redrives a run has an effect sent again that was turned away, which is no duplicate', async () => {
    const failure = { ...unclear.failure, class: 'invalid_request' } as const;
    await inReview({ state: 'failed', failure, answer: null });
    await two.admit.admit(aDecision(runId, 'redrive'));
    expect(await row()).toMatchObject({ state: 'planned', possible_duplicate: false });
  });

  it('who redrives a run has nothing sent again that is done', async () => {
    await inReview(done);
    await two.admit.admit(aDecision(runId, 'redrive'));
    expect(await row()).toMatchObject({ state: 'done', attempt_count: 1 });
  });

  it('who cancels a run that was being sent is answered when an owner has closed it', async () => {
    await late.open(planned(), claim.fence);
    await late.markSending(sending(claim));
    await two.admit.admit(aDecision(runId, 'cancel'));
    await fixture.expire(runId);
    await two.rescue.rescueExpired();
    expect((await fixture.row(runId)).status).toBe('ready');
    const [newer] = (await two.claims.claim(1)) as [Claim];
    expect(await ledger.close(runId)).toBe(1);
    expect(await two.moves.move(newer, { kind: 'cancelled' })).toBe('written');
    expect(await row()).toMatchObject({ state: 'unknown' });
  });

  it('who cancels a run that nobody holds does not end it while an effect of it may be on its way', async () => {
    await late.open(planned(), claim.fence);
    await late.markSending(sending(claim));
    await fixture.expire(runId);
    await two.rescue.rescueExpired();
    await two.admit.admit(aDecision(runId, 'cancel'));
    expect(await fixture.row(runId)).toMatchObject({ status: 'ready', cancel_requested: true });
  });
});
