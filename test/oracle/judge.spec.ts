/** Negative controls: histories that are wrong on purpose. An oracle that lets one of them pass proves nothing elsewhere. */
import fc from 'fast-check';
import type { EventFact, Facts } from './facts.js';
import { judge, rules, type Rule } from './judge.js';

const event = (version: number, name: string, status: string): EventFact => ({
  ...{ id: `a-${version}`, runId: 'a', version, name, status },
});
const started = event(1, 'RunStarted', 'running');
const progressed = event(2, 'RunProgressed', 'running');
const completed = event(3, 'RunCompleted', 'completed');
const call = {
  ...{ callId: 'c', runId: 'a', step: 0, item: 0, state: 'done', possibleDuplicate: false },
  ...{ reserved: 50n, cost: 30n, lostSendings: 0, usageEstimated: false },
};
const charge = { callId: 'c', runId: 'a', price: 30n, mends: null };

/** The answer of `c` was spoilt, and this call mends it. */
const mending = { ...call, callId: 'd' };
const mendingCharge = { ...charge, callId: 'd', mends: 'c' };

const effect = {
  ...{ deliveryId: 'd', runId: 'a', step: 1, state: 'done', possibleDuplicate: false },
};
const delivery = { deliveryId: 'd', body: 'told', taken: true };

/** One run, as it should be: accepted, taken over once, repeated on the topic, paid once, told once to somebody who was busy first. */
const right: Facts = {
  answers: [
    { key: 'k', runId: 'a' },
    { key: 'k', runId: 'a' },
  ],
  views: [{ runId: 'a', key: 'k', status: 'completed', version: 3 }],
  executions: [{ runId: 'a', status: 'completed', version: 3, failureClass: null }],
  attempts: [
    { runId: 'a', fence: '1', dispatch: 1, outcome: 'lease_lost' },
    { runId: 'a', fence: '2', dispatch: 1, outcome: 'completed' },
  ],
  calls: [call],
  charges: [charge],
  spent: [{ runId: 'a', booked: 30n, uncertain: 0n }],
  effects: [effect],
  deliveries: [{ ...delivery, taken: false }, delivery],
  events: [started, progressed, started, progressed, completed, completed],
  deadLetters: [],
  unpublished: 0,
  recoveriesMs: [12_400],
};

const reviewed = event(1, 'RunNeedsReview', 'needs_review');
const inReview: Partial<Facts> = {
  views: [{ runId: 'a', key: 'k', status: 'needs_review', version: 1 }],
  executions: [{ runId: 'a', status: 'needs_review', version: 1, failureClass: 'lease_lost' }],
  attempts: [{ runId: 'a', fence: '1', dispatch: 1, outcome: 'needs_review' }],
  events: [reviewed],
  deadLetters: ['a'],
};
const running = { runId: 'a', status: 'running', version: 3, failureClass: null };

const wrong: readonly (readonly [what: string, rule: Rule, change: Partial<Facts>])[] = [
  ['a run that no app knows', 'lost', { views: [], executions: [], events: [] }],
  ['a run that never reached the processor', 'lost', { executions: [], events: [] }],
  ['a run of which nobody outside was told', 'lost', { events: [] }],
  [
    'two ids for one key',
    'two_runs_of_one_key',
    { answers: [...right.answers, { key: 'k', runId: 'b' }] },
  ],
  ['a run that still runs', 'unfinished', { executions: [running] }],
  [
    'a run before a person without a reason',
    'no_reason',
    { ...inReview, executions: [{ ...inReview.executions![0]!, failureClass: null }] },
  ],
  ['a run before a person, but in no dead letter', 'no_reason', { ...inReview, deadLetters: [] }],
  [
    'two outcomes of one dispatch',
    'two_owners',
    { attempts: right.attempts.map((attempt) => ({ ...attempt, outcome: 'completed' })) },
  ],
  [
    'two events of one version',
    'two_owners',
    { events: [started, { ...started, id: 'other' }, progressed, completed] },
  ],
  ['a call charged twice', 'paid_twice', { charges: [...right.charges, ...right.charges] }],
  [
    'an item asked for again under another id although the first call may have been paid',
    'paid_twice',
    {
      calls: [
        { ...call, state: 'unknown' },
        { ...call, callId: 'd' },
      ],
      charges: [...right.charges, { ...charge, callId: 'd' }],
    },
  ],
  [
    'an answer that is mended twice',
    'paid_twice',
    {
      calls: [call, mending, { ...mending, callId: 'e' }],
      charges: [charge, mendingCharge, { ...mendingCharge, callId: 'e' }],
    },
  ],
  [
    'a mended answer that is asked for once more as it was before',
    'paid_twice',
    {
      calls: [call, mending, { ...call, callId: 'e' }],
      charges: [charge, mendingCharge, { ...charge, callId: 'e' }],
    },
  ],
  [
    'a call that mends and is charged twice',
    'paid_twice',
    { calls: [call, mending], charges: [charge, mendingCharge, mendingCharge] },
  ],
  [
    'a second call that mends the answer of another item',
    'paid_twice',
    { calls: [call, mending], charges: [charge, { ...mendingCharge, mends: 'other' }] },
  ],
  ['a charge of which the ledger knows nothing', 'unbooked', { calls: [] }],
  [
    'a charge for a call that was only planned',
    'unbooked',
    { calls: [{ ...call, state: 'planned' }] },
  ],
  ['a nano-dollar too much in the books', 'misbooked', { calls: [{ ...call, cost: 31n }] }],
  ['a cost that nobody has charged', 'misbooked', { charges: [] }],
  ['a cost that is known and not booked', 'misbooked', { calls: [{ ...call, cost: null }] }],
  [
    'a second charge that is not kept apart as uncertain',
    'misbooked',
    { calls: [{ ...call, possibleDuplicate: true }], charges: [charge, charge] },
  ],
  [
    'spend that was told as uncertain and is known since',
    'mistold',
    { spent: [{ runId: 'a', booked: 0n, uncertain: 50n }] },
  ],
  [
    'spend that is told as booked and as uncertain',
    'mistold',
    { spent: [{ runId: 'a', booked: 30n, uncertain: 50n }] },
  ],
  ['spend that was never told', 'mistold', { spent: [] }],
  [
    'a run that has cost more than its budget',
    'overspent',
    { executions: [{ ...right.executions[0]!, maxCostUsd: '0.000000029' }] },
  ],
  ['a message that was taken twice', 'told_twice', { deliveries: [delivery, delivery] }],
  [
    'a message with other bytes the second time',
    'told_differently',
    {
      effects: [{ ...effect, possibleDuplicate: true }],
      deliveries: [delivery, { ...delivery, body: 'told again' }],
    },
  ],
  [
    'other bytes for a receiver that turned the first away',
    'told_differently',
    { deliveries: [{ ...delivery, body: 'tolt', taken: false }, delivery] },
  ],
  [
    'a second message of one step',
    'told_differently',
    { effects: [effect, { ...effect, deliveryId: 'e' }] },
  ],
  ['a message that is in no book', 'told_unbooked', { effects: [] }],
  [
    'a message that was only planned',
    'told_unbooked',
    { effects: [{ ...effect, state: 'planned' }] },
  ],
  ['a message that is done and never came', 'told_unbooked', { deliveries: [] }],
  ['two ends', 'ends_twice', { events: [started, event(2, 'RunFailed', 'failed'), completed] }],
  [
    'something after the end',
    'ends_twice',
    { events: [started, event(2, 'RunCompleted', 'completed'), event(3, 'RunStarted', 'running')] },
  ],
  ['an end that was not told', 'end_missing', { events: [started, progressed] }],
  ['versions out of order', 'out_of_order', { events: [progressed, started, completed] }],
  ['a version that is missing', 'out_of_order', { events: [started, completed] }],
  [
    'a view that stayed behind',
    'view_differs',
    { views: [{ runId: 'a', key: 'k', status: 'running', version: 2 }] },
  ],
  [
    'a retry that began a second before it was due',
    'early',
    {
      events: [
        { ...event(1, 'RunRetryScheduled', 'retrying'), nextAttemptAt: '2026-01-01T00:00:09Z' },
        { ...event(2, 'RunStarted', 'running'), occurredAt: '2026-01-01T00:00:08Z' },
        completed,
      ],
    },
  ],
  ['a row left in an outbox', 'unpublished', { unpublished: 1 }],
  ['a recovery that took 16 s', 'slow_recovery', { recoveriesMs: [16_000] }],
];

it('finds nothing wrong with a run that went right, repeats and a takeover included', () => {
  expect(judge(right)).toEqual([]);
  expect(judge({ ...right, ...inReview, charges: [], calls: [], spent: [] })).toEqual([]);
});

it('finds nothing wrong with a second payment that the step allowed and the ledger booked', () => {
  const calls = [{ ...call, possibleDuplicate: true, lostSendings: 1 }];
  const spent = [{ runId: 'a', booked: 30n, uncertain: 50n }];
  const charges = [...right.charges, ...right.charges];
  expect(judge({ ...right, calls, charges, spent })).toEqual([]);
});

it('finds nothing wrong with an answer that was spoilt, and the one call that mends it', () => {
  const spent = [{ runId: 'a', booked: 60n, uncertain: 0n }];
  const calls = [mending, call];
  expect(judge({ ...right, calls, charges: [mendingCharge, charge], spent })).toEqual([]);
});

it('finds nothing wrong with an answer from a conversation, of which nobody told what it cost', () => {
  const calls = [{ ...call, cost: null, usageEstimated: true }];
  const spent = [{ runId: 'a', booked: 0n, uncertain: 50n }];
  expect(judge({ ...right, calls, spent })).toEqual([]);
});

it('finds nothing wrong with a message that was told again where that is booked', () => {
  const effects = [{ ...effect, possibleDuplicate: true }];
  expect(judge({ ...right, effects, deliveries: [delivery, delivery] })).toEqual([]);
});

it('finds nothing wrong with a message of which nobody knows whether it was taken', () => {
  for (const deliveries of [[], [delivery]])
    expect(judge({ ...right, effects: [{ ...effect, state: 'unknown' }], deliveries })).toEqual([]);
});

it.each(wrong)('%s: %s', (_what, rule, change) => {
  expect(judge({ ...right, ...change }).map((breach) => breach.rule)).toContain(rule);
});

it('has a wrong history for every rule', () => {
  expect(new Set(wrong.map(([, rule]) => rule))).toEqual(new Set(Object.keys(rules)));
});

it('finds any order of first occurrences but the right one', () => {
  const inOrder = [started, progressed, completed];
  const orders = fc.shuffledSubarray(inOrder, { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(orders, fc.array(fc.constantFrom(...inOrder)), (order, repeats) => {
      const found = judge({ ...right, events: [...order, ...repeats] }).map(({ rule }) => rule);
      const isRight = order.every((each, index) => each === inOrder[index]);
      expect(found.includes('out_of_order')).toBe(!isRight);
    }),
  );
});
