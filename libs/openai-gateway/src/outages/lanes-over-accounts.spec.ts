import { roomOver, waitedForOver } from './lanes-over-accounts.js';
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

it('who waits is told why by the first account of the route that is shut', () => {
  const routes = new Map([
    ['m', ['default']],
    ['n', ['default', 'second']],
  ]);
  const lane = { account: 'default', model: null, because: 'no credit', untilMs: null };
  const told = waitedForOver(routes, roomOver(routes, roomOf), [lane]);
  expect(told).toEqual([{ ...lane, model: 'm' }]);
});
