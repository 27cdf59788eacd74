/** Pure but for the clock, which is moved by hand. */
import { jest } from '@jest/globals';
import type { GateCall } from '../gate/call-gate.js';
import { DEFAULT_IN_FLIGHT } from './pool-limits.js';
import type { Share } from './share.js';
import { ShareInHand, SPARE_SLOTS } from './share-in-hand.js';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

const call: GateCall = {
  ...{ callId: 'c', tenant: 'a', runId: 'r', priority: 'interactive', account: 'default' },
  ...{ model: 'gpt-5.2', tier: 'default', inputTokens: 100, maxOutputTokens: 1_000 },
  ...{ step: 0, item: 0, try: 1 },
};
const limits = (changes = {}) => ({
  ...{ account: 'default', pool: 'p', tier: 'default' as const, models: ['gpt-5.2'] },
  ...{ requests: 1_000, tokens: 100_000, windowMs: 100_000, inFlight: 100, ...changes },
});
const granted: Share = {
  ...{ requests: 2, tokens: 5_000, slots: 10, slotsOfFleet: 100, holdMs: 0, holders: 1 },
  ...{ perSecond: { requests: 8, tokens: 800 }, size: { requests: 800, tokens: 80_000 } },
};
function aShare(share: Partial<Share> = {}) {
  const hand = new ShareInHand(limits());
  hand.receive({ ...granted, ...share }, performance.now());
  return hand;
}
const nothing = { requests: 0, tokens: 0 };

it('covers a call while it has a request, its tokens and a slot', () => {
  expect(aShare().covers(call, 0)).toBe(true);
  expect(aShare({ requests: 0 }).covers(call, 0)).toBe(false);
  expect(aShare({ tokens: 999 }).covers(call, 0)).toBe(false);
  expect(aShare().covers(call, 10)).toBe(false);
});

it('is void two seconds after it was asked for, and all of it is lost then', () => {
  const hand = aShare();
  jest.advanceTimersByTime(1_999);
  expect(hand.covers(call, 0)).toBe(true);
  jest.advanceTimersByTime(1);
  expect(hand.covers(call, 0)).toBe(false);
  const { giveBack, want } = hand.turnIn({ requests: 1, tokens: 1_000 }, performance.now());
  expect({ giveBack, want }).toEqual({
    ...{ giveBack: { requests: 2, tokens: 5_000 }, want: { requests: 1, tokens: 1_000 } },
  });
});

it('keeps what is needed, and turns in the rest', () => {
  const hand = aShare();
  expect(hand.turnIn({ requests: 5, tokens: 1_000 }, performance.now())).toEqual({
    ...{ giveBack: { requests: 0, tokens: 4_000 }, want: { requests: 3, tokens: 0 } },
  });
  expect(hand.covers(call, 0)).toBe(true);
});

it('owes what was used beyond the reservation, until it is turned in', () => {
  const hand = aShare();
  hand.take(1_000);
  hand.owe(6_000);
  expect(hand.covers(call, 0)).toBe(false);
  expect(hand.turnIn(nothing, performance.now()).giveBack).toEqual({ requests: 1, tokens: -2_000 });
});

it('covers nothing while OpenAI has asked not to be called, though it was granted something meanwhile', () => {
  const hand = aShare();
  hand.hold(1_500);
  hand.hold(1_000);
  expect(hand.heldMs).toBe(1_500);
  hand.receive(granted, performance.now());
  jest.advanceTimersByTime(1_499);
  expect(hand.covers(call, 0)).toBe(false);
  jest.advanceTimersByTime(1);
  expect(hand.covers(call, 0)).toBe(true);
});

it('has nothing left when OpenAI says that it is used up', () => {
  const hand = aShare();
  hand.hold(1_000);
  jest.advanceTimersByTime(1_000);
  expect(hand.covers(call, 0)).toBe(false);
});

it('follows what headers say downwards only', () => {
  const said = { limitRequests: null, limitTokens: null, leftRequests: null, leftTokens: null };
  const hand = aShare();
  expect(hand.correct({ ...said, limitRequests: 9_000, leftRequests: 500 })).toBe(false);
  hand.take(1_000);
  hand.take(1_000);
  expect(hand.covers(call, 0)).toBe(false);
  expect(aShare().correct({ ...said, limitTokens: 79_999 })).toBe(true);
  const emptied = aShare();
  emptied.correct({ ...said, leftTokens: 0 });
  expect(emptied.covers(call, 0)).toBe(false);
});

it('lets the first few calls go where no limit is known, and none more', () => {
  const none = { requests: null, tokens: null };
  const open = new ShareInHand(limits({ ...none, inFlight: DEFAULT_IN_FLIGHT }));
  expect(open.covers(call, SPARE_SLOTS - 1)).toBe(true);
  expect(open.covers(call, SPARE_SLOTS)).toBe(false);
  expect(new ShareInHand(limits({ ...none, inFlight: 10 })).covers(call, 0)).toBe(false);
});

it('takes all that the bucket holds for a call that asks for more', () => {
  const hand = aShare({ size: { requests: 1, tokens: 500 } });
  expect(hand.needOf(call)).toBe(500);
  hand.take(5_000);
  expect(hand.lackOf(call)).toEqual({ requests: 0, tokens: 500 });
  expect(hand.refillMs(call)).toBe(625);
});
