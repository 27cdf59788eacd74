/**
 * What a client has seen of many runs, in one line: the `id` of each event of `GET /v1/events`.
 *
 *     <mark>.<version>.<version>…      e.g. k3Jx9QzA.4.0.7
 *
 * One version per run, in the order of the runs' ids (not of the query, so the same runs in another order go on as well); 0: nothing
 * seen yet. The mark is made of those ids: a place in a stream of other runs is refused, where versions alone would be taken for
 * those of the wrong runs. To clients the whole is opaque.
 */
import { createHash } from 'node:crypto';

export type ReadPlace =
  | { readonly kind: 'place'; readonly versions: readonly number[] }
  | { readonly kind: 'unreadable' }
  /** It is a place, in a stream of other runs. */
  | { readonly kind: 'other_runs' };

/** `runUuids` in the order of ids, as everywhere here. */
export function placeIdOf(runUuids: readonly string[], versions: readonly number[]): string {
  return [markOf(runUuids), ...versions].join('.');
}

export function readPlaceId(lastEventId: string, runUuids: readonly string[]): ReadPlace {
  if (!/^[\w-]{8}(\.\d{1,9})+$/.test(lastEventId)) return { kind: 'unreadable' };
  const [mark, ...versions] = lastEventId.split('.');
  if (mark !== markOf(runUuids) || versions.length !== runUuids.length) {
    return { kind: 'other_runs' };
  }
  return { kind: 'place', versions: versions.map(Number) };
}

function markOf(runUuids: readonly string[]): string {
  return createHash('sha256').update(runUuids.join()).digest('base64url').slice(0, 8);
}
