/** A latch as operators see it. */
import type { Latch } from '#libs/openai-gateway';

export const latchIdOf = (uuid: string): string => `latch_${uuid}`;

/** Null: no latch is called so. */
export function latchUuidOf(id: string): string | null {
  return /^latch_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(id)?.[1] ?? null;
}

export function latchView(latch: Latch) {
  const { latchId, latchedAt, ...rest } = latch;
  return { latchId: latchIdOf(latchId), ...rest, latchedAt: latchedAt.toISOString() };
}
