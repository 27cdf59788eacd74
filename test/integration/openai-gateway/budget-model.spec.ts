/**
 * Reserving, settling and giving up in random order, against the real ledger in two processes, beside a model of what is charged.
 * Real: Postgres. No OpenAI: what comes of a sending is drawn.
 *
 * (I1) A call is let through if and only if the budget covers it, to the nano-dollar.
 * (I2) What the budget says is spent is at every moment the sum of what its calls are charged with.
 * (I3) Nothing that is let through ever brings the budget over its limit.
 */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { nanoUsd } from '#libs/domain';
import { CallLedger, giveUpUnknownCalls, type CallFailure } from '#libs/openai-gateway';
import type { Database } from '#libs/postgres';
import { gatewayDatabase } from '../../support/gateway.js';

let database: Database;
let ledgers: readonly CallLedger[];
let drop: () => Promise<void>;
beforeAll(async () => {
  ({ database, drop } = await gatewayDatabase(4));
  ledgers = [new CallLedger(database), new CallLedger(database)];
});
afterAll(() => drop?.());

const CALLS = 5;
const kinds = [
  ...(['send', 'send', 'send', 'put_back', 'lose', 'free', 'pay', 'fail'] as const),
  ...(['give_up', 'book', 'fence', 'move'] as const),
];
interface Step {
  readonly kind: (typeof kinds)[number];
  readonly call: number;
  /** Of what was reserved: what it turns out to have cost. */
  readonly percent: number;
  readonly process: number;
}
interface Script {
  readonly limit: bigint;
  readonly amounts: readonly bigint[];
  readonly steps: readonly Step[];
}
const anyStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...kinds),
  call: fc.nat(CALLS - 1),
  percent: fc.nat(100),
  process: fc.nat(1),
});
const anyScript: fc.Arbitrary<Script> = fc.record({
  limit: fc.bigInt(0n, 1_000n),
  amounts: fc.array(fc.bigInt(1n, 400n), { minLength: CALLS, maxLength: CALLS }),
  steps: fc.array(anyStep, { minLength: 5, maxLength: 40, size: 'max' }),
});

interface ModelCall {
  readonly callId: string;
  readonly amount: bigint;
  state: 'planned' | 'sending' | 'unknown' | 'given_up' | 'ended';
  attempt: number;
  /** The newest sending of which it is sure that it never ran. */
  fenced: number;
  /** Sendings that count in full. */
  lost: bigint;
  /** Of the newest sending; null: it counts in full. */
  cost: bigint | null;
}

const anchored = (attempt: number) => ({ attempt, anchor: `conv_${attempt}` });
const chargeOf = ({ state, amount, lost, cost }: ModelCall) =>
  state === 'planned' ? 0n : amount * lost + (cost ?? amount);
const failure: CallFailure = {
  ...{ class: 'outcome_unknown', code: 'reply_lost', httpStatus: null, requestId: null },
  ...{ responseId: null, message: 'lost', retryAfterMs: null, paid: 'maybe', breaker: 'none' },
};
const output = { kind: 'text', text: '' } as const;
const usage = {
  ...{ inputTokens: 1, cachedInputTokens: 0, outputTokens: 1, reasoningTokens: 0, totalTokens: 2 },
};

async function play({ limit, amounts, steps }: Script): Promise<void> {
  const runId = randomUUID();
  const budget = { scope: 'run', name: runId, limit: nanoUsd(limit) } as const;
  const open = {
    ...{ runId, tenant: 't', model: 'm', account: 'default', step: 0, try: 0 },
    mode: 'background',
  } as const;
  const calls = amounts.map((amount): ModelCall => ({
    ...{
      callId: randomUUID(),
      amount,
      state: 'planned',
      attempt: 0,
      fenced: 0,
      lost: 0n,
      cost: null,
    },
  }));
  await Promise.all(
    calls.map(({ callId }, item) => ledgers[0]!.open({ ...open, callId, item, fence: 1n })),
  );
  const spent = () => calls.reduce((sum, call) => sum + chargeOf(call), 0n);
  for (const step of steps) {
    await act(calls[step.call]!, step, ledgers[step.process]!);
    const { rows } = await database.query<{ spent: bigint }>(
      'SELECT spent FROM processor.budgets WHERE key = $1',
      [`run/${runId}`],
    );
    expect(rows[0]?.spent ?? 0n).toBe(spent()); // (I2)
    expect(spent()).toBeLessThanOrEqual(limit); // (I3)
  }
  const { rows: unsent } = await database.query<{ budgets: unknown }>(
    `SELECT budgets FROM processor.calls WHERE run_id = $1 AND state = 'planned'`,
    [runId],
  );
  for (const { budgets } of unsent) expect(budgets).toBeNull(); // what is sent at last is counted on its own day

  async function act(call: ModelCall, { kind, percent }: Step, ledger: CallLedger): Promise<void> {
    const { callId, state } = call;
    const sending = { callId, fence: 1n, ...anchored(call.attempt + 1) } as const;
    const end = { callId, attempt: call.attempt } as const;
    if (kind === 'send' && (state === 'planned' || state === 'unknown')) {
      const reserved = nanoUsd(call.amount);
      const within = await ledger.markSendingWithin({
        ...{ ...sending, from: state, reserved, budgets: [budget] },
      });
      expect(within.kind).toBe(spent() + call.amount <= limit ? 'reserved' : 'refused'); // (I1)
      if (within.kind !== 'reserved') return;
      call.lost += state === 'unknown' && call.fenced < call.attempt ? 1n : 0n;
      Object.assign(call, { state: 'sending', attempt: sending.attempt, cost: null });
    } else if (kind === 'put_back' && state === 'sending') {
      await ledger.putBack({ ...end, ...anchored(call.attempt), from: 'planned', fence: 1n });
      call.attempt -= 1;
      if (call.attempt === 0) call.state = 'planned';
      else if (call.fenced === call.attempt) Object.assign(call, { state: 'unknown', cost: 0n });
      else Object.assign(call, { state: 'unknown', lost: call.lost - 1n });
    } else if (kind === 'move') {
      const moved = { callId, fence: 1n, account: 'spare', mode: open.mode };
      const isFirst = state === 'planned' || (state === 'sending' && call.attempt === 1);
      expect(await ledger.reroute(moved)).toBe(isFirst);
      if (isFirst) Object.assign(call, { state: 'planned', attempt: 0 });
    } else if (kind === 'fence' && state === 'unknown') {
      const fenced = { callId, ...anchored(call.attempt) };
      const [first, again] = [await ledger.fence(fenced), await ledger.fence(fenced)];
      expect(again).toBe(first);
      if (first) Object.assign(call, { fenced: call.attempt, cost: 0n });
    } else if (kind === 'lose' && state === 'sending') {
      await ledger.end({ ...end, state: 'unknown', failure, usage: null, cost: null });
      call.state = 'unknown';
    } else if (kind === 'free' && state === 'sending') {
      await ledger.end({ ...end, state: 'failed', failure, usage: null, cost: nanoUsd(0n) });
      Object.assign(call, { state: 'ended', cost: 0n });
    } else if (kind === 'fail' && state === 'sending') {
      await ledger.end({ ...end, state: 'failed', failure, usage: null, cost: null });
      call.state = 'ended';
    } else if (kind === 'pay' && (state === 'sending' || state === 'unknown')) {
      const cost = (call.amount * BigInt(percent)) / 100n;
      const done = {
        state: 'done',
        ...{ callId, responseId: callId, requestId: null, usage },
        ...{ servedModel: 'm', output, cost: nanoUsd(cost), attempt: null, estimated: false },
      } as const;
      await Promise.all([ledger.end(done), ledgers[0]!.end(done), ledgers[1]!.end(done)]); // told thrice
      Object.assign(call, { state: 'ended', cost });
    } else if (kind === 'give_up') {
      await database.transaction((tx) => giveUpUnknownCalls(tx, [runId]));
      for (const each of calls) if (each.state === 'unknown') each.state = 'given_up';
    } else if (kind === 'book' && state === 'given_up') {
      const cost = (call.amount * BigInt(percent)) / 100n;
      await ledger.end({
        state: 'failed',
        ...{ callId, attempt: null, failure, usage, cost: nanoUsd(cost) },
      });
      Object.assign(call, { state: 'ended', cost });
    }
  }
}

it('a budget is what its calls are charged with, and is never exceeded', async () => {
  await fc.assert(fc.asyncProperty(anyScript, play), { numRuns: 60 });
});
