import { LONG_WAIT_MS } from '../accounts/decide-failover.js';
import { limitsOver, roomOver, waitedForOver } from './lanes-over-accounts.js';
import type { LaneRoom } from './outage-gate.js';

const open: LaneRoom = { inAll: null, byModel: new Map() };
const latched: LaneRoom = { inAll: 0, byModel: new Map() };
const rooms = new Map([
  ['default', latched],
  ['second', open],
  ['third', { inAll: null, byModel: new Map([['m', 2]]) }],
]);
const roomOf = (account: string) => rooms.get(account) ?? open;
const roomWith = (...route: string[]) => roomOver(new Map([['m', route]]), roomOf).byModel.get('m');

it('a model goes on with any account of its route that is open', () => {
  expect(roomWith('default')).toBe(0);
  expect(roomWith('default', 'second')).toBeUndefined(); // any number
  expect(roomWith('default', 'third')).toBe(2);
});

describe('the limits of a model are those of the account that has its calls now', () => {
  const pool = (account: string, heldForMs = 0) => {
    return { account, models: ['m'], heldForMs, calls: 1, runs: 1 };
  };
  const limitsWith = (route: string[], ...pools: ReturnType<typeof pool>[]) =>
    limitsOver(new Map([['m', route]]), roomOf, pools).map(({ account }) => account);

  it('the first of its route, whatever the others have left', () => {
    expect(limitsWith(['second', 'third'], pool('third'), pool('second'))).toEqual(['second']);
  });

  it('the next one where the first is shut, or held for long', () => {
    const both = [pool('second'), pool('default')];
    expect(limitsWith(['default', 'second'], ...both)).toEqual(['second']);
    const held = (ms: number) => limitsWith(['second', 'third'], pool('second', ms), pool('third'));
    expect([held(LONG_WAIT_MS - 1), held(LONG_WAIT_MS)]).toEqual([['second'], ['third']]);
  });

  it('the last one where none takes any: nothing goes on from there', () => {
    const held = [pool('second', LONG_WAIT_MS), pool('third', LONG_WAIT_MS)];
    expect(limitsWith(['second', 'third'], ...held)).toEqual(['third']);
  });

  it('all tiers of it, and of a model that is not routed those of the account without a name', () => {
    expect(limitsWith(['second'], pool('second'), pool('second'))).toHaveLength(2);
    const unrouted = limitsOver(new Map(), () => open, [pool('second'), pool('default')]);
    expect(unrouted.map(({ account }) => account)).toEqual(['default']);
  });
});

it('who waits is told why by the first account of the route that is shut', () => {
  const routes = new Map([
    ['m', ['default']],
    ['n', ['default', 'second']],
  ]);
  const lane = { account: 'default', model: null, because: 'no credit', untilMs: null };
  const told = waitedForOver(routes, roomOver(routes, roomOf), [lane]);
  expect(told).toEqual([{ ...lane, model: 'm' }]);
});
