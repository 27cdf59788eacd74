/**
 * What becomes known of a run's spend after it has told its end is told once, whoever books it, and whoever dies in between.
 * Real: Postgres, the processor's stores, the ledger that books an end. Stands in: OpenAI, whose word is written as the gateway writes
 * it; time, which is moved in the rows. A webhook's whole way is in test/flow/spend-settled.spec.ts.
 */
import { randomUUID } from 'node:crypto';
import { RUN_SPEND_SETTLED, type RunSpendSettled } from '#libs/contracts';
import { nanoUsd, runIdOf } from '#libs/domain';
import { noMetrics } from '#libs/metrics';
import { Outbox } from '#libs/messaging';
import { CallLedger, type CallFailure } from '#libs/openai-gateway';
import type { Database, Tx } from '#libs/postgres';
import { silentLog } from '#libs/process';
import type { Outcome } from '../../../apps/processor/src/execute-runs/outcome.js';
import { WebhookWorker } from '../../../apps/processor/src/receive-webhooks/webhook-worker.js';
import { WebhooksStore } from '../../../apps/processor/src/receive-webhooks/webhooks.store.js';
import { lookAtSpend } from '../../../apps/processor/src/schema/index.js';
import { SettleSpendStore } from '../../../apps/processor/src/settle-spend/settle-spend.store.js';
import { SpendSettler } from '../../../apps/processor/src/settle-spend/spend-settler.js';
import { eventually } from '../../support/eventually.js';
import {
  aDecision,
  aFailure,
  aWork,
  completed,
  openProcessorFixture,
  type ProcessorFixture,
  type SpecProcessor,
} from './processor-fixture.js';

let fixture: ProcessorFixture;
let one: SpecProcessor;
let ledger: CallLedger;
let store: SettleSpendStore;
beforeAll(async () => {
  fixture = await openProcessorFixture();
  one = fixture.processor('one');
  ledger = new CallLedger(fixture.database);
  store = storeWith(outbox);
});
afterAll(() => fixture?.stop());
beforeEach(() => fixture.empty());

const outbox = new Outbox({ schema: 'processor', source: '/holdfast/processor' });
const TAKEN_MS = 60_000;
const storeWith = (own: Outbox) => new SettleSpendStore(fixture.database, own, TAKEN_MS);
const needsReview = { kind: 'needs_review', failure: aFailure({ class: 'timeout' }) } as const;
const ends: readonly Outcome[] = [
  needsReview,
  { kind: 'failed', failure: aFailure({ class: 'policy' }) },
  { kind: 'cancelled' },
  completed,
];

/** A run that came to this end; of its call the reply was lost, and up to 0.00005 dollars may have been paid. */
async function endedRun(
  outcome: Outcome = needsReview,
): Promise<{ runId: string; callId: string }> {
  const runId = randomUUID();
  await one.admit.admit(aWork({ runId }));
  const [claim] = await one.claims.claim(1);
  await fixture.insertCall(runId, claim!.fence);
  const [call] = await fixture.sql<{ callId: string }>(
    `UPDATE processor.calls SET state = 'unknown', response_id = NULL, attempt_count = 1, sending_at = '2026-11-20T12:00Z',
       reserved = 50000, failure = '{}' WHERE run_id = $1 RETURNING call_id AS "callId"`,
    [runId],
  );
  if (outcome.kind === 'cancelled') await one.admit.admit(aDecision(runId, 'cancel'));
  await one.moves.move(claim!, outcome);
  return { runId, callId: call!.callId };
}

const usage = {
  ...{ inputTokens: 7, cachedInputTokens: 0, outputTokens: 5, reasoningTokens: 0, totalTokens: 12 },
};

/** As a webhook's look-up does. */
async function book(callId: string): Promise<void> {
  const ids = { responseId: `resp_${callId}`, requestId: null, servedModel: 'gpt-5.2' };
  const output = { kind: 'text', text: 'late' } as const;
  const known = { usage, cost: nanoUsd(30_000n), estimated: false };
  await ledger.end({ state: 'done', callId, attempt: null, ...ids, output, ...known });
}

/** The same, where a redrive has given the call up. */
async function bookGivenUp(callId: string): Promise<void> {
  const responseId = `resp_${callId}`;
  const ids = { responseId, requestId: null, httpStatus: null };
  const failure: CallFailure = {
    ...{ class: 'outcome_unknown', code: 'reply_lost', message: 'given up', ...ids },
    ...{ retryAfterMs: null, paid: 'yes', breaker: 'transient' },
  };
  await ledger.markAccepted({ callId, responseId, requestId: null });
  const cost = nanoUsd(30_000n);
  await ledger.end({ state: 'failed', callId, attempt: null, failure, usage, cost });
}

/** What was told beside the run's own events, in order. */
async function settledOf(runId: string): Promise<readonly RunSpendSettled[]> {
  const rows = await fixture.sql<{ headers: Buffer; body: Buffer }>(
    `SELECT headers, body FROM processor.outbox WHERE topic = 'holdfast.run.events.v1' AND key = $1 ORDER BY seq`,
    [runIdOf(runId)],
  );
  return rows.flatMap(({ headers, body }) =>
    headers.includes(RUN_SPEND_SETTLED) ? [JSON.parse(body.toString()) as RunSpendSettled] : [],
  );
}

interface Note {
  readonly settlements: number;
  readonly looks: number;
  readonly isDue: boolean | null;
}
const noteOf = async (runId: string) =>
  (
    await fixture.sql<Note>(
      `SELECT settlements, looks, due_at <= now() AS "isDue" FROM processor.unsettled_runs WHERE run_id = $1`,
      [runId],
    )
  )[0];
const makeDue = (runId: string) => lookAtSpend(fixture.database, runId);
const settle = async (runId: string) => {
  await makeDue(runId);
  expect(await store.take(10)).toEqual([runId]);
  return store.settle(runId);
};

describe('a run that told its end while a call of it was unknown', () => {
  it.each(ends)(
    '($kind) tells the whole of its spend when it is known, once, and is done with',
    async (end) => {
      const { runId, callId } = await endedRun(end);
      await book(callId);
      expect(await settle(runId)).toBe('told');
      const row = await fixture.row(runId);
      const [told, ...more] = await settledOf(runId);
      expect(more).toEqual([]);
      expect(told).toMatchObject({
        ...{ runId: runIdOf(runId), tenant: 'default', workflow: 'answer' },
        ...{ afterVersion: row.version, settlement: 1, labels: {} },
        cost: { bookedUsd: '0.00003', uncertainUsd: '0.00', maxCostUsd: null },
        usage: { calls: 1, inputTokens: 7, outputTokens: 5 },
        spend: [
          {
            ...{ day: '2026-11-20', model: 'gpt-5.2', calls: 1 },
            ...{ bookedUsd: '0.00003', uncertainUsd: '0.00' },
          },
        ],
      });
      expect(told).not.toHaveProperty('version');
      expect(row.status).toBe(end.kind); // it is where it was
      expect(await noteOf(runId)).toBeUndefined();
      expect(await store.settle(runId)).toBe('nothing_new');
    },
  );

  it('tells nothing while nothing is known, and is looked at less and less often', async () => {
    const { runId } = await endedRun();
    expect(await settle(runId)).toBe('nothing_new');
    expect(await settledOf(runId)).toEqual([]);
    expect(await noteOf(runId)).toMatchObject({ settlements: 0, looks: 1, isDue: false });
    await fixture.sql('UPDATE processor.unsettled_runs SET looks = 99');
    expect(await settle(runId)).toBe('nothing_new');
    expect(await noteOf(runId)).toMatchObject({ looks: 100, isDue: null });
    expect(await settle(runId)).toBe('nothing_new'); // a late word still finds it
  });

  it('tells what is known, then the rest, each with a number of its own', async () => {
    const { runId, callId } = await endedRun();
    const other = await secondCall(runId, callId);
    await book(callId);
    expect(await settle(runId)).toBe('told_in_part');
    await book(other);
    expect(await settle(runId)).toBe('told');
    const told = await settledOf(runId);
    expect(
      told.map(({ settlement, cost }) => [settlement, cost.bookedUsd, cost.uncertainUsd]),
    ).toEqual([
      [1, '0.00003', '0.00005'],
      [2, '0.00006', '0.00'],
    ]);
  });

  it('is looked at by itself a moment later, whoever booked without a word', async () => {
    const { runId, callId } = await endedRun();
    await book(callId);
    const [due] = await fixture.sql<{ inMs: number }>(
      `SELECT extract(epoch FROM due_at - now())::float8 * 1000 AS "inMs" FROM processor.unsettled_runs`,
    );
    expect(due!.inMs).toBeGreaterThan(5_000);
    expect(due!.inMs).toBeLessThanOrEqual(10_000);
    await fixture.sql('UPDATE processor.unsettled_runs SET due_at = now()');
    const onTold = Promise.withResolvers<void>();
    const settler = new SpendSettler({
      store,
      log: silentLog,
      onTold: onTold.resolve,
      everyMs: 20,
    });
    settler.start();
    await onTold.promise;
    await settler.stop();
    expect(await settledOf(runId)).toHaveLength(1);
  });

  it('several processors at once tell it once', async () => {
    const { runId, callId } = await endedRun();
    await book(callId);
    await makeDue(runId);
    const stores = [store, storeWith(outbox), storeWith(outbox)];
    const taken = (await Promise.all(stores.map((each) => each.take(10)))).flat();
    expect(taken).toEqual([runId]);
    const came = await Promise.all(stores.map((each) => each.settle(runId)));
    expect(came.sort()).toEqual(['nothing_new', 'nothing_new', 'told']);
    expect(await settledOf(runId)).toHaveLength(1);
  });

  it('whoever dies in the middle has told nothing, and the next one does', async () => {
    const { runId, callId } = await endedRun();
    await book(callId);
    await makeDue(runId);
    class DyingOutbox extends Outbox {
      override append(...given: Parameters<Outbox['append']>): void {
        super.append(...given);
        throw new Error('dies here');
      }
    }
    const dying = storeWith(
      new DyingOutbox({ schema: 'processor', source: '/holdfast/processor' }),
    );
    await dying.take(10);
    await expect(dying.settle(runId)).rejects.toThrow('dies here');
    expect(await settledOf(runId)).toEqual([]);
    expect(await noteOf(runId)).toMatchObject({ settlements: 0, isDue: false });
    expect(await store.take(10)).toEqual([]); // it is taken, until its time is over
    await fixture.sql('UPDATE processor.unsettled_runs SET due_at = now()');
    expect(await store.take(10)).toEqual([runId]);
    expect(await store.settle(runId)).toBe('told');
  });

  it('a word that comes while it is looked at is not lost', async () => {
    const { runId, callId } = await endedRun();
    const other = await secondCall(runId, callId);
    await book(callId);
    const { database } = fixture;
    let word = Promise.resolve();
    const whenRead = async () => {
      await book(other);
      word = lookAtSpend(database, runId);
      await Promise.race([word, eventually('the word waits', () => someoneWaitsForALock())]);
    };
    await makeDue(runId);
    await store.take(10);
    const reader = new SettleSpendStore(betweenReadAndWrite(whenRead), outbox, TAKEN_MS);
    expect(await reader.settle(runId)).toBe('told_in_part');
    await word;
    expect(await store.take(10)).toEqual([runId]);
    expect(await store.settle(runId)).toBe('told');
  });
});

describe('it is not told', () => {
  it('of a run whose spend was certain when it was told', async () => {
    const runId = randomUUID();
    await one.admit.admit(aWork({ runId }));
    const [claim] = await one.claims.claim(1);
    await one.moves.move(claim!, completed);
    expect(await noteOf(runId)).toBeUndefined();
  });

  it('of a run that goes on: that tells all of it when it stops', async () => {
    const { runId, callId } = await endedRun();
    await one.admit.admit(aDecision(runId, 'redrive'));
    await bookGivenUp(callId);
    expect(await settle(runId)).toBe('not_at_rest');
    const [claim] = await one.claims.claim(1);
    await one.moves.move(claim!, completed);
    const end = (await fixture.events(runId)).find(({ name }) => name === 'RunCompleted');
    expect(end?.data).toMatchObject({ cost: { bookedUsd: '0.00003', uncertainUsd: '0.00' } });
    expect(await settledOf(runId)).toEqual([]);
    expect(await noteOf(runId)).toBeUndefined();
  });

  it('twice, where the run was redriven in between: the next stop counts anew', async () => {
    const { runId, callId } = await endedRun();
    const other = await secondCall(runId, callId);
    await book(callId);
    expect(await settle(runId)).toBe('told_in_part');
    await one.admit.admit(aDecision(runId, 'redrive'));
    const [claim] = await one.claims.claim(1);
    await one.moves.move(claim!, needsReview);
    await bookGivenUp(other);
    expect(await settle(runId)).toBe('told');
    const [first, second] = await settledOf(runId);
    expect(second!.settlement).toBe(1);
    expect(second!.afterVersion).toBeGreaterThan(first!.afterVersion);
  });

  it('of a run whose details are gone, and nobody looks again', async () => {
    const { runId, callId } = await endedRun(completed);
    await book(callId);
    await fixture.sql('UPDATE processor.executions SET expired_at = now() WHERE run_id = $1', [
      runId,
    ]);
    expect(await settle(runId)).toBe('not_at_rest');
    expect(await settledOf(runId)).toEqual([]);
    expect(await noteOf(runId)).toBeUndefined();
  });
});

it('a webhook whose call was found makes the run due with its own settling', async () => {
  const { runId, callId } = await endedRun();
  await fixture.sql(`UPDATE processor.unsettled_runs SET due_at = now() + interval '1 h'`); // by itself
  const webhooks = new WebhooksStore(fixture.database, TAKEN_MS);
  const gateway = {
    lookUp: async () => {
      await book(callId);
      return { kind: 'booked' as const, callId, runId };
    },
  };
  const worker = new WebhookWorker({
    store: webhooks,
    gateway,
    metrics: noMetrics,
    log: silentLog,
  });
  await webhooks.put({ webhookId: 'wh_1', responseId: 'resp_late', account: 'default' });
  worker.start();
  await eventually('it is due', async () => (await noteOf(runId))?.isDue === true);
  await worker.stop();
  await store.take(10);
  expect(await store.settle(runId)).toBe('told');
});

/** Another call of the run, unknown like the first. */
async function secondCall(runId: string, like: string): Promise<string> {
  const [call] = await fixture.sql<{ callId: string }>(
    `INSERT INTO processor.calls (call_id, tenant, run_id, step, item, try, state, fence, mode, model, attempt_count, sending_at,
       reserved, failure)
     SELECT gen_random_uuid(), tenant, run_id, step, item + 1, try, state, fence, mode, model, attempt_count, sending_at, reserved,
       failure FROM processor.calls WHERE call_id = $2 AND run_id = $1 RETURNING call_id AS "callId"`,
    [runId, like],
  );
  return call!.callId;
}

/** The database, with a moment after the spend was read. */
function betweenReadAndWrite(moment: () => Promise<void>): Pick<Database, 'query' | 'transaction'> {
  const { database } = fixture;
  return {
    query: database.query.bind(database),
    transaction: (work) =>
      database.transaction((tx) => {
        const query: Tx['query'] = async (what, values) => {
          const read = await tx.query<never>(what, values);
          if (typeof what !== 'string' && what.name === 'gateway.spend_of_runs') await moment();
          return read;
        };
        return work({ tx: true, query, send: tx.send.bind(tx) });
      }),
  };
}

async function someoneWaitsForALock(): Promise<boolean> {
  const [row] = await fixture.sql<{ waits: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock') AS waits`,
  );
  return row!.waits;
}
