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
    ...{ sentAgoMs: 40, anchor: null, fencedAgoMs: null, ...states[state], ...changes },
  }) as LedgerCall;
const anchors = { callTimeoutMs: 100, graceMs: 50, settleMs: 10, lateLooks: 0 };
const facts = {
  ...({ fence: 1n, whenUnknown: 'hold', maxSendings: 3, toldWithinMs: 0, anchors } as const),
};

it('a planned call is sent', () => {
  expect(decideCall(call('planned', { attemptCount: 0 }), facts)).toEqual({
    ...{ kind: 'send', from: 'planned', attempt: 1, anchor: null },
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
    ...{ kind: 'pick_up', responseId: 'resp_1', sentAgoMs: 40, anchor: null },
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
    ...{ kind: 'send', from: 'unknown', attempt: 2, anchor: null },
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

describe('an unknown call that was sent on an anchor', () => {
  const lost = (changes: Partial<LedgerCall> = {}) =>
    call('unknown', { anchor: 'conv_1', ...changes });
  const asked = { kind: 'ask_anchor', anchor: 'conv_1', attempt: 1 };
  const decide = (one: LedgerCall, given: object = {}) => decideCall(one, { ...facts, ...given });

  it('asks it first, whatever its step accepts and whoever else may tell', () => {
    for (const whenUnknown of ['hold', 'resend'] as const)
      for (const toldWithinMs of [0, 300])
        expect(decide(lost(), { whenUnknown, toldWithinMs })).toMatchObject(asked);
  });

  it('deletes nothing before its own time is over', () => {
    expect(decide(lost({ sentAgoMs: 99 }))).toEqual({ ...asked, mayDelete: false, leftMs: 51 });
    expect(decide(lost({ sentAgoMs: 100 }))).toEqual({ ...asked, mayDelete: true, leftMs: 50 });
  });

  it('is asked after it even where all were away, then webhook and policy decide', () => {
    const late = lost({ sentAgoMs: 99_000 });
    expect(decide(late)).toMatchObject({ ...asked, mayDelete: true });
    const inVain = { anchors: { ...anchors, lateLooks: 3 } };
    expect(decide(late, inVain).kind).toBe('failed');
    expect(decide(lost({ sentAgoMs: 160 }), { ...inVain, toldWithinMs: 200 })).toEqual({
      ...{ kind: 'await_webhook', leftMs: 40 },
    });
    expect(decide(late, { ...inVain, whenUnknown: 'resend' })).toEqual({
      ...{ kind: 'send', from: 'unknown', attempt: 2, anchor: null },
    });
  });

  it('of which its anchor is deleted is sent again, when late words had their time', () => {
    const fenced = (fencedAgoMs: number, attemptCount = 1) =>
      call('unknown', { fencedAgoMs, attemptCount });
    expect(decide(fenced(9))).toEqual({ kind: 'await_webhook', leftMs: 1 });
    expect(decide(fenced(10))).toMatchObject({ kind: 'send', from: 'unknown', attempt: 2 });
    expect(decide(fenced(10), { toldWithinMs: 200 })).toEqual({
      kind: 'await_webhook',
      leftMs: 190,
    });
    expect(decide(fenced(10, 3)).kind).toBe('failed');
  });

  it('of a run that is to be cancelled is left to who closes it', () => {
    expect(decide(lost({ cancelRequested: true })).kind).toBe('failed');
  });
});

const anyCall = fc
  .record({
    state: fc.constantFrom(...(Object.keys(states) as (keyof typeof states)[])),
    fence: fc.bigInt(0n, 9n),
    cancelRequested: fc.boolean(),
    attemptCount: fc.nat(5),
    anchor: fc.constantFrom(null, 'conv_1'),
    fencedAgoMs: fc.constantFrom(null, 0, 300),
  })
  .map(({ state, ...changes }) => call(state, changes));
const anyFacts = fc.record({
  fence: fc.bigInt(0n, 9n),
  whenUnknown: fc.constantFrom('hold' as const, 'resend' as const),
  maxSendings: fc.constant(3),
  toldWithinMs: fc.constantFrom(0, 40, 41),
  anchors: fc.record({
    ...{ callTimeoutMs: fc.constantFrom(0, 100), graceMs: fc.constant(50) },
    ...{ settleMs: fc.constantFrom(0, 10), lateLooks: fc.nat(4) },
  }),
});

it('under an older fence nothing is ever decided', () => {
  fc.assert(
    fc.property(anyCall, anyFacts, (one, given) => {
      fc.pre(one.fence > given.fence);
      expect(decideCall(one, given)).toEqual({ kind: 'not_owner' });
    }),
  );
});

it('where the outcome is held, only a call that was never sent, or never taken, is sent', () => {
  fc.assert(
    fc.property(anyCall, anyFacts, (one, given) => {
      const decision = decideCall(one, { ...given, whenUnknown: 'hold' });
      if (decision.kind === 'send' && one.state !== 'planned')
        expect(one.fencedAgoMs).not.toBeNull();
    }),
  );
});

it('nothing is sent again before the time in which it may be told of is over', () => {
  fc.assert(
    fc.property(anyCall, anyFacts, (one, given) => {
      const decision = decideCall(one, given);
      if (decision.kind === 'send' && decision.from === 'unknown' && one.fencedAgoMs === null)
        expect(one.sentAgoMs).toBeGreaterThanOrEqual(given.toldWithinMs);
    }),
  );
});
