import fc from 'fast-check';
import type { CallFailure } from '../model-call.js';
import { decideCall } from './decide-call.js';
import type { LedgerCall } from './ledger-call.js';

const failure: CallFailure = {
  ...{ class: 'outcome_unknown', code: 'reply_lost', httpStatus: null, requestId: null },
  ...{ responseId: null, message: 'lost', retryAfterMs: null, paid: 'maybe', breaker: 'transient' },
};
const usage = {
  ...{ inputTokens: 1, cachedInputTokens: 0, outputTokens: 1, reasoningTokens: 0, totalTokens: 2 },
};
const states = {
  planned: { state: 'planned' },
  sending: { state: 'sending' },
  accepted: { state: 'accepted', responseId: 'resp_1' },
  unknown: { state: 'unknown', failure },
  failed: { state: 'failed', failure },
  cancelled: { state: 'cancelled', failure },
  done: {
    ...{ state: 'done', output: { kind: 'text', text: 'ok' }, usage, responseId: 'resp_1' },
    servedModel: 'gpt-5.2-2026-01-15',
  },
} as const;
const call = (state: keyof typeof states, changes: Partial<LedgerCall> = {}) =>
  ({
    ...{ callId: 'c', fence: 1n, cancelRequested: false, attemptCount: 1, requestId: null },
    ...{ sentAgoMs: 40, ...states[state], ...changes },
  }) as LedgerCall;
const facts = { fence: 1n, whenUnknown: 'hold', maxSendings: 3, toldWithinMs: 0 } as const;

it('a planned call is sent', () => {
  expect(decideCall(call('planned', { attemptCount: 0 }), facts)).toEqual({
    ...{ kind: 'send', from: 'planned', attempt: 1 },
  });
});

it('a planned call with a cancel request is not', () => {
  expect(decideCall(call('planned', { cancelRequested: true }), facts).kind).toBe('stopped');
});

it('a call that somebody was sending becomes unknown', () => {
  expect(decideCall(call('sending'), facts)).toEqual({ kind: 'mark_unknown', attempt: 1 });
});

it('an accepted call is picked up by its id, with the time it has had already', () => {
  expect(decideCall(call('accepted'), facts)).toEqual({
    ...{ kind: 'pick_up', responseId: 'resp_1', sentAgoMs: 40 },
  });
});

it('a call that is done is reused', () => {
  expect(decideCall(call('done'), facts).kind).toBe('reuse');
});

it('an unknown call is held', () => {
  expect(decideCall(call('unknown'), facts)).toEqual({ kind: 'failed', failure });
});

it('an unknown call is sent again only where the step accepts it, and not for ever', () => {
  const resend = { ...facts, whenUnknown: 'resend' } as const;
  expect(decideCall(call('unknown'), resend)).toEqual({
    ...{ kind: 'send', from: 'unknown', attempt: 2 },
  });
  expect(decideCall(call('unknown', { attemptCount: 3 }), resend).kind).toBe('failed');
  expect(decideCall(call('unknown', { cancelRequested: true }), resend).kind).toBe('failed');
});

it('an unknown call is waited for while it may still be told of, whatever its step accepts', () => {
  for (const whenUnknown of ['hold', 'resend'] as const) {
    const told = { ...facts, whenUnknown, toldWithinMs: 100 };
    expect(decideCall(call('unknown'), told)).toEqual({ kind: 'await_webhook', leftMs: 60 });
    const late = call('unknown', { sentAgoMs: 100 });
    expect(decideCall(late, told)).toEqual(decideCall(late, { ...told, toldWithinMs: 0 }));
  }
});

it('an unknown call of a run that is to be cancelled is not waited for', () => {
  const told = { ...facts, toldWithinMs: 100 };
  expect(decideCall(call('unknown', { cancelRequested: true }), told).kind).toBe('failed');
});

const anyCall = fc
  .record({
    state: fc.constantFrom(...(Object.keys(states) as (keyof typeof states)[])),
    fence: fc.bigInt(0n, 9n),
    cancelRequested: fc.boolean(),
    attemptCount: fc.nat(5),
  })
  .map(({ state, ...changes }) => call(state, changes));
const anyFacts = fc.record({
  fence: fc.bigInt(0n, 9n),
  whenUnknown: fc.constantFrom('hold' as const, 'resend' as const),
  maxSendings: fc.constant(3),
  toldWithinMs: fc.constantFrom(0, 40, 41),
});

it('under an older fence nothing is ever decided', () => {
  fc.assert(
    fc.property(anyCall, anyFacts, (one, given) => {
      fc.pre(one.fence > given.fence);
      expect(decideCall(one, given)).toEqual({ kind: 'not_owner' });
    }),
  );
});

it('where the outcome is held, only a call that was never sent is sent', () => {
  fc.assert(
    fc.property(anyCall, anyFacts, (one, given) => {
      const decision = decideCall(one, { ...given, whenUnknown: 'hold' });
      if (decision.kind === 'send') expect(one.state).toBe('planned');
    }),
  );
});

it('nothing is sent again before the time in which it may be told of is over', () => {
  fc.assert(
    fc.property(anyCall, anyFacts, (one, given) => {
      const decision = decideCall(one, given);
      if (decision.kind === 'send' && decision.from === 'unknown')
        expect(one.sentAgoMs).toBeGreaterThanOrEqual(given.toldWithinMs);
    }),
  );
});
