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

/** Of each model the limits of the account that has its calls now: the first that is neither shut nor held for long; else the last. */
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
  const takerOf = (model: string) => {
    const route = routes.get(model) ?? [DEFAULT_ACCOUNT];
    return route.find((account) => takes(account, model)) ?? route.at(-1);
  };
  return pools.flatMap((pool) => {
    const models = pool.models.filter((model) => takerOf(model) === pool.account);
    return models.length === 0 ? [] : [{ ...pool, models }];
  });
}

const roomIn = ({ inAll, byModel }: LaneRoom, model: string): number =>
  Math.min(inAll ?? Infinity, byModel.get(model) ?? Infinity);
