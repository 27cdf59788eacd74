/** What a claim may take, from what is in hand and what OpenAI's limits leave. Pure. */
import type { Room } from '#libs/openai-gateway';
import type { ExecutionRow } from '../schema/index.js';

export interface ClaimRoom {
  readonly tenantsInHand: readonly string[];
  /** All slots are taken: what is left is for tenants of whom nothing is in hand. */
  readonly guestsOnly: boolean;
  /** Runs that may be taken; 0: guests only; -1: none at all. A model that is not in it has no limit. */
  readonly runsByModel: ReadonlyMap<string, number>;
}

/** Guests come on top of the slots, an eighth as many: whoever fills every slot does not keep others out. */
export const guestSlotsOf = (slots: number): number => Math.ceil(slots / 8);

/** How many runs may be claimed now, guests or not; 0: none. */
export function freeSlots(slots: number, inHand: number): { free: number; guestsOnly: boolean } {
  const free = slots - inHand;
  if (free > 0) return { free, guestsOnly: false };
  return { free: Math.max(0, free + guestSlotsOf(slots)), guestsOnly: true };
}

export function claimRoom(
  inHand: readonly Pick<ExecutionRow, 'tenant' | 'model'>[],
  guestsOnly: boolean,
  rooms: readonly Room[],
): ClaimRoom {
  const runsByModel = new Map<string, number>();
  for (const room of rooms) {
    const runs = runsFor(room, inHand.filter(({ model }) => room.models.includes(model)).length);
    // Several tiers of one model: which one a run asks for is not known before it is claimed.
    for (const model of room.models)
      runsByModel.set(model, Math.max(runs, runsByModel.get(model) ?? -1));
  }
  const limited = [...runsByModel].filter(([, runs]) => Number.isFinite(runs));
  return {
    tenantsInHand: [...new Set(inHand.map(({ tenant }) => tenant))],
    guestsOnly,
    runsByModel: new Map(limited),
  };
}

/** A run that was claimed may not have come to its call yet: it counts as well. */
function runsFor({ heldForMs, calls, runs }: Room, inHand: number): number {
  return heldForMs > 0 ? -1 : Math.max(0, Math.min(calls, runs - inHand));
}
