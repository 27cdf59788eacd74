/** A model whose calls may go to several accounts is shut only where all of them are. Pure. */
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

const roomIn = ({ inAll, byModel }: LaneRoom, model: string): number =>
  Math.min(inAll ?? Infinity, byModel.get(model) ?? Infinity);
