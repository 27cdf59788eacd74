/** A model whose calls may go to several accounts is shut only where all of them are. Pure. */
import { DEFAULT_ACCOUNT } from '../accounts/account.js';
import { LONG_WAIT_MS } from '../accounts/decide-failover.js';
import type { Room } from '../limits/limited-pool.js';
import type { LaneRoom, ShutLane } from './outage-gate.js';

/** By model, the names of the accounts that its calls may go to. */
export type ModelRoutes = ReadonlyMap<string, readonly string[]>;

export function roomOver(routes: ModelRoutes, roomOf: (account: string) => LaneRoom): LaneRoom {
  const byModel = new Map<string, number>();
  for (const [model, route] of routes) {
    const room = route.reduce((sum, account) => sum + roomIn(roomOf(account), model), 0);
    if (room !== Infinity) byModel.set(model, room);
  }
  return { inAll: null, byModel };
}

/** What those who are queued for these models wait for: as the first account of theirs that is shut has it. */
export function waitedForOver(
  routes: ModelRoutes,
  room: LaneRoom,
  lanes: readonly ShutLane[],
): readonly ShutLane[] {
  return [...room.byModel.keys()].flatMap((model) => {
    const route = routes.get(model) ?? [];
    const lane = lanes.find(
      (each) => route.includes(each.account) && (each.model === null || each.model === model),
    );
    return lane === undefined ? [] : [{ ...lane, model }];
  });
}

/**
 * Of each model what the accounts together take that have its calls now: those that are neither shut nor held for long; where all are,
 * the last of its route. Models with the same pools are counted together.
 */
export function limitsOver(
  routes: ModelRoutes,
  roomOf: (account: string) => LaneRoom,
  pools: readonly Room[],
): readonly Room[] {
  const poolsOf = (account: string, model: string) =>
    pools.filter((pool) => pool.account === account && pool.models.includes(model));
  const takes = (account: string, model: string) => {
    const held = poolsOf(account, model).filter(({ heldForMs }) => heldForMs >= LONG_WAIT_MS);
    return held.length === 0 && roomIn(roomOf(account), model) > 0;
  };
  const takersOf = (model: string) => {
    const route = routes.get(model) ?? [DEFAULT_ACCOUNT];
    const takers = route.filter((account) => takes(account, model));
    return takers.length > 0 ? takers : route.slice(-1);
  };
  const models = [...new Set(pools.flatMap((pool) => pool.models))];
  const shared = models.map((model) => {
    const byAccount = takersOf(model).map((account) => poolsOf(account, model));
    return { model, byAccount: byAccount.filter((own) => own.length > 0) };
  });
  const places = (byAccount: readonly (readonly Room[])[]) =>
    byAccount.map((own) => own.map((pool) => pools.indexOf(pool)).join(' ')).join(', ');
  return [...Map.groupBy(shared, ({ byAccount }) => places(byAccount)).values()].flatMap((same) => {
    const { byAccount } = same[0]!;
    return summedUp(byAccount).map((room) => ({ ...room, models: same.map(({ model }) => model) }));
  });
}

/** One account: all its tiers. Several: the roomiest tier of each, and of those that are held for a while only where all are. */
function summedUp(byAccount: readonly (readonly Room[])[]): readonly Room[] {
  const [only, ...more] = byAccount;
  if (only === undefined || more.length === 0) return only ?? [];
  const roomiest = byAccount.map((own) => own.toSorted(byRoom)[0]!);
  const open = roomiest.filter(({ heldForMs }) => heldForMs === 0);
  const [first, ...others] = open.length > 0 ? open : roomiest;
  return [others.reduce(plus, first!)];
}

const byRoom = (one: Room, other: Room): number =>
  Number(one.heldForMs > 0) - Number(other.heldForMs > 0) || (one.calls < other.calls ? 1 : -1);

const plus = (one: Room, other: Room): Room => ({
  ...one,
  heldForMs: Math.min(one.heldForMs, other.heldForMs),
  calls: one.calls + other.calls,
  runs: one.runs + other.runs,
});

const roomIn = ({ inAll, byModel }: LaneRoom, model: string): number =>
  Math.min(inAll ?? Infinity, byModel.get(model) ?? Infinity);
