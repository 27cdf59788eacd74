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

describe('the limits of a model are those of the accounts that have its calls now, together', () => {
  const pool = (account: string, heldForMs = 0, models = ['m'], calls = 1) => {
    return { account, models, heldForMs, calls, runs: calls + 1 };
  };
  const limitsWith = (route: string[], ...pools: ReturnType<typeof pool>[]) =>
    limitsOver(new Map([['m', route]]), roomOf, pools);
  const accountsWith = (...args: Parameters<typeof limitsWith>) =>
    limitsWith(...args).map(({ account }) => account);

  it('are the sum over those of its route, in whatever order they were made', () => {
    const pools = [pool('third', 0, ['m'], 4), pool('second', 0, ['m'], 2), pool('other')];
    expect(limitsWith(['second', 'third'], ...pools)).toEqual([
      { account: 'second', models: ['m'], heldForMs: 0, calls: 6, runs: 8 },
    ]);
  });

  it('are of those alone that are neither shut nor held for long', () => {
    expect(accountsWith(['default', 'second'], pool('second'), pool('default'))).toEqual([
      'second',
    ]);
    const held = (ms: number) => limitsWith(['second', 'third'], pool('second', ms), pool('third'));
    expect(held(LONG_WAIT_MS)).toMatchObject([{ account: 'third', calls: 1 }]);
    expect(held(LONG_WAIT_MS - 1)).toMatchObject([{ account: 'third', heldForMs: 0, calls: 1 }]);
    const all = [pool('second', 500), pool('third', 200)];
    expect(limitsWith(['second', 'third'], ...all)).toMatchObject([{ heldForMs: 200 }]);
  });

  it('are those of the last one where none takes any: nothing goes on from there', () => {
    const held = [pool('second', LONG_WAIT_MS), pool('third', LONG_WAIT_MS)];
    expect(accountsWith(['second', 'third'], ...held)).toEqual(['third']);
  });

  it('are counted once for models that share their pools', () => {
    const models = ['m', 'n'];
    const routes = new Map(models.map((model) => [model, ['second', 'third']]));
    const pools = [pool('second', 0, models, 2), pool('third', 0, models, 3)];
    expect(limitsOver(routes, roomOf, pools)).toMatchObject([{ models, calls: 5 }]);
  });

  it('are of one account all its tiers, of several the roomiest of each', () => {
    expect(accountsWith(['second'], pool('second'), pool('second'))).toHaveLength(2);
    const tiers = [pool('second', 0, ['m'], 1), pool('second', 0, ['m'], 9), pool('third')];
    expect(limitsWith(['second', 'third'], ...tiers)).toMatchObject([{ calls: 10 }]);
  });

  it('are, of a model that is not routed, those of the account without a name', () => {
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
