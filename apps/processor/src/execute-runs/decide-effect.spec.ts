/** Pure; nothing stands in. */
import fc from 'fast-check';
import type { FailureClass } from '#libs/domain';
import type { DeliveryFailure } from '#libs/webhooks';
import { decideEffect } from './decide-effect.js';
import type { LedgerEffect } from './effect-ledger.store.js';

const failure = (failureClass: FailureClass): DeliveryFailure => ({
  ...{ class: failureClass, code: 'webhook_x', httpStatus: null, message: 'x', retryAfterMs: null },
});
const effect = (changes: object): LedgerEffect =>
  ({
    ...{ effectId: 'e', idempotent: false, body: Buffer.from('{}'), attempt: 1, sentTo: null },
    ...{ cancelRequested: false, ...changes },
  }) as LedgerEffect;
const retryable = ({ class: said }: DeliveryFailure) => said === 'throttled' || said === 'timeout';

const send = (from: string, attempt: number) => ({ kind: 'send', from, attempt });
const unknown = failure('outcome_unknown');

it.each<[string, object, object]>([
  ['planned', { state: 'planned', attempt: 0 }, send('planned', 1)],
  ['given up by a redrive', { state: 'planned', attempt: 3 }, send('planned', 4)],
  ['done', { state: 'done', status: 202 }, { kind: 'done', status: 202 }],
  [
    'done, and cancelled since',
    { state: 'done', status: 202, cancelRequested: true },
    { kind: 'done', status: 202 },
  ],
  [
    'left in sending by somebody who died',
    { state: 'sending' },
    { kind: 'mark_unknown', attempt: 1 },
  ],
  ['the same, idempotent', { state: 'sending', idempotent: true }, send('sending', 2)],
  ['turned away for now', { state: 'failed', failure: failure('throttled') }, send('failed', 2)],
  [
    'turned away for good',
    { state: 'failed', failure: failure('invalid_request') },
    { kind: 'failed', failure: failure('invalid_request') },
  ],
  ['unclear', { state: 'unknown', failure: unknown }, { kind: 'failed', failure: unknown }],
  [
    'unclear, idempotent',
    { state: 'unknown', idempotent: true, failure: failure('timeout') },
    send('unknown', 2),
  ],
  ['planned, cancelled', { state: 'planned', cancelRequested: true }, { kind: 'stopped' }],
  ['left in sending, cancelled', { state: 'sending', cancelRequested: true }, { kind: 'stopped' }],
])('%s', (_what, changes, decision) => {
  expect(decideEffect(effect(changes), retryable)).toEqual(decision);
});

const anyEffect = fc
  .record({
    state: fc.constantFrom('planned', 'sending', 'done', 'failed', 'unknown'),
    failure: fc.constantFrom<FailureClass>('throttled', 'timeout', 'outcome_unknown').map(failure),
    attempt: fc.nat(5),
    idempotent: fc.boolean(),
    cancelRequested: fc.boolean(),
    status: fc.constant(200),
  })
  .map(effect);

it('what is not idempotent is sent only from states in which it was surely not taken, whatever the policy', () => {
  fc.assert(
    fc.property(anyEffect, fc.boolean(), (one, always) => {
      const decision = decideEffect(one, () => always);
      if (decision.kind !== 'send' || one.idempotent) return;
      expect(['planned', 'failed']).toContain(one.state);
    }),
  );
});

it('what is done, or is to be cancelled, is not sent', () => {
  fc.assert(
    fc.property(anyEffect, fc.boolean(), (one, always) => {
      fc.pre(one.state === 'done' || one.cancelRequested);
      expect(decideEffect(one, () => always).kind).not.toBe('send');
    }),
  );
});
