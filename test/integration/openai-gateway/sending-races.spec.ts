/**
 * A stop, or a new claim, while somebody is about to send; and statements that come late. What forbids it stands in two places, since each of them is missed once: on
 * the call's row, for a statement that began before, waits for that row and reads it anew, but nothing else; and beside it, for a
 * row that was made by a statement which began before, and knows nothing of it.
 * Real: Postgres, the call ledger. No OpenAI: nothing gets so far.
 */
import { randomUUID } from 'node:crypto';
import { nanoUsd } from '#libs/domain';
import { bumpFences, type CallFailure, CallLedger, stopCalls } from '#libs/openai-gateway';
import type { Database, Tx } from '#libs/postgres';
import { eventually } from '../../support/eventually.js';
import { gatewayDatabase } from '../../support/gateway.js';

let database: Database;
let ledger: CallLedger;
let drop: () => Promise<void>;
beforeAll(async () => {
  ({ database, drop } = await gatewayDatabase(4));
  ledger = new CallLedger(database);
});
afterAll(() => drop?.());

const aCall = () => ({
  ...{ callId: randomUUID(), runId: randomUUID(), tenant: 'default', model: 'gpt-5.2' },
  ...{ step: 0, item: 0, try: 1, mode: 'background' as const, account: 'default', fence: 1n },
});
type Call = ReturnType<typeof aCall>;
type Sending = Parameters<CallLedger['markSending']>[0];

const stop = (tx: Tx, { runId }: Call) => stopCalls(tx, [runId]);
const claim = (tx: Tx, { runId }: Call) => {
  bumpFences(tx, [{ runId, fence: 2n }]);
  return Promise.resolve();
};
const sendingOf = ({ callId, fence }: Call) =>
  ({ callId, fence, from: 'planned', attempt: 1, anchor: null }) as const;
const price = nanoUsd(7n);
const send = (call: Call, sending: Sending = sendingOf(call), reserved = price) =>
  ledger.markSending(sending, reserved);
const sendWithin = async (call: Call, sending: Sending = sendingOf(call), reserved = price) => {
  const budgets = [{ scope: 'run', name: call.runId, limit: nanoUsd(100n) }] as const;
  const answer = await ledger.markSendingWithin({ ...sending, reserved, budgets });
  return answer.kind === 'reserved';
};
const withOrWithoutBudget = [
  ['without a budget', send],
  ['within one', sendWithin],
] as const;

describe.each([
  ['a stop', stop],
  ['a new claim', claim],
])('%s', (_, change) => {
  describe.each(withOrWithoutBudget)('of a call %s', (_budget, sends) => {
    it('that is committed while the sender waits for the row', async () => {
      const call = aCall();
      await ledger.open(call);
      const sent = await database.transaction(async (tx) => {
        await change(tx, call);
        await tx.query('SELECT');
        const sending = sends(call);
        await someoneWaits();
        return { sending };
      });
      expect(await sent.sending).toBe(false);
    });

    it('that is committed while the row is being made', async () => {
      const call = aCall();
      const opened = await whileNobodyCanMake(call, async () => {
        const opening = ledger.open(call);
        await someoneWaits();
        await database.transaction((tx) => change(tx, call));
        return { opening };
      });
      expect(await opened.opening).toMatchObject({ fence: 1n, cancelRequested: false });
      expect(await sends(call)).toBe(false);
    });
  });
});

it.each(withOrWithoutBudget)(
  'a sending of a call %s is not begun anew by a statement that comes twice, late',
  async (_, sends) => {
    const call = aCall();
    await ledger.open(call);
    expect(await sends(call)).toBe(true);
    await isLost(call, 1);
    const second = { ...sendingOf(call), from: 'unknown', attempt: 2 } as const;
    expect(await sends(call, second)).toBe(true);
    await isLost(call, 2);
    expect(await sends(call, second)).toBe(false);
  },
);

it('an anchor that was given up for another one says nothing of the sending on it', async () => {
  const call = aCall();
  const { callId } = call;
  await ledger.open(call);
  await send(call, { ...sendingOf(call), anchor: 'conv_1' });
  await isLost(call, 1);
  const second = { ...sendingOf(call), from: 'unknown', attempt: 2, anchor: 'conv_2' } as const;
  expect(await send(call, second)).toBe(true); // its sender removes the first anchor, whatever stands on it
  await ledger.forgetAnchors([{ callId, anchor: 'conv_1' }]);
  expect(await columnsOf(call)).toMatchObject({ anchor: 'conv_2' });
  await ledger.putBack(second);
  expect(await ledger.fence({ callId, attempt: 1, anchor: 'conv_1' })).toBe(false);
});

it('a fence that comes late lowers none', async () => {
  const call = aCall();
  const { runId } = call;
  const raise = (fence: bigint) =>
    database.transaction((tx) => Promise.resolve(bumpFences(tx, [{ runId, fence }])));
  await ledger.open(call);
  await raise(3n);
  await raise(2n);
  expect(await columnsOf(call)).toMatchObject({ fence: 3n });
  expect(await ledger.open({ ...call, callId: randomUUID(), try: 2 })).toMatchObject({ fence: 3n });
});

const columnsOf = async ({ callId }: Call) => {
  const sql =
    'SELECT anchor, fence, reserved, lost_sendings FROM processor.calls WHERE call_id = $1';
  return (await database.query(sql, [callId])).rows[0];
};

it.each(withOrWithoutBudget)(
  'a second sending of a call %s is reserved for as the first was, whatever it would cost by now',
  async (_, sends) => {
    const call = aCall();
    await ledger.open(call);
    await sends(call);
    await isLost(call, 1);
    const second = { ...sendingOf(call), from: 'unknown', attempt: 2 } as const;
    expect(await sends(call, second, nanoUsd(3n))).toBe(true);
    expect(await columnsOf(call)).toMatchObject({ reserved: price, lost_sendings: 1 });
  },
);

const isLost = ({ callId }: Call, attempt: number) =>
  ledger.end({ callId, state: 'unknown', attempt, failure, usage: null, cost: null });

const failure: CallFailure = {
  ...{ class: 'outcome_unknown', code: 'reply_lost', httpStatus: null, requestId: null },
  ...{ responseId: null, message: 'lost', retryAfterMs: null, paid: 'maybe', breaker: 'none' },
};

/** Another transaction has made the row, and takes it back in the end. */
async function whileNobodyCanMake<T>(call: Call, work: () => Promise<T>): Promise<T> {
  const takenBack = new Error('taken back');
  const answer = Promise.withResolvers<T>();
  const { callId, runId } = call;
  await database
    .transaction(async (tx) => {
      await tx.query(
        `INSERT INTO processor.calls (call_id, tenant, run_id, step, item, try, fence, mode, model)
         VALUES ($1, 'default', $2, 0, 0, 1, 1, 'background', 'gpt-5.2')`,
        [callId, runId],
      );
      answer.resolve(await work());
      throw takenBack;
    })
    .catch((error: unknown) => {
      if (error !== takenBack) throw error;
    });
  return answer.promise;
}

const someoneWaits = () =>
  eventually('somebody waits for another transaction', async () => {
    const { rows } = await database.query<{ waiting: number }>(
      `SELECT count(*)::int AS waiting FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return rows[0]!.waiting > 0;
  });
