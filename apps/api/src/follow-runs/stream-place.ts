/**
 * What a client has seen of one run, or of many, in one line: the `id` of each event of a stream.
 *
 *     <version>, or <version>-<revision>      e.g. 4, 4-2          of one run
 *     <mark>.<one of these>.<…>               e.g. k3Jx9QzA.4-2.0.7      of many
 *
 * 0: nothing seen yet. Of many there is one part per run, in the order of the runs' ids (not of the query, so the same runs in
 * another order go on as well). The mark is made of those ids: a place in a stream of other runs is refused, where versions alone
 * would be taken for those of the wrong runs. To clients the whole is opaque.
 */
import { createHash } from 'node:crypto';

/** What a client has seen of a run. */
export interface SeenRun {
  readonly version: number;
  readonly revision: number;
}

export const NOTHING_SEEN: SeenRun = { version: 0, revision: 0 };

export type ReadPlace =
  | { readonly kind: 'place'; readonly seen: readonly SeenRun[] }
  | { readonly kind: 'unreadable' }
  /** It is a place, in a stream of other runs. */
  | { readonly kind: 'other_runs' };

export function seenIdOf({ version, revision }: SeenRun): string {
  return revision === 0 ? `${version}` : `${version}-${revision}`;
}

/** undefined: this is no id of an event of one run. */
export function readSeenId(lastEventId: string): SeenRun | undefined {
  const [, version, revision = '0'] = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(lastEventId) ?? [];
  return version === undefined
    ? undefined
    : { version: Number(version), revision: Number(revision) };
}

/** `runUuids` in the order of ids, as everywhere here. */
export function placeIdOf(runUuids: readonly string[], seen: readonly SeenRun[]): string {
  return [markOf(runUuids), ...seen.map(seenIdOf)].join('.');
}

export function readPlaceId(lastEventId: string, runUuids: readonly string[]): ReadPlace {
  const [mark = '', ...parts] = lastEventId.split('.');
  const seen = parts.flatMap((part) => readSeenId(part) ?? []);
  if (!/^[\w-]{8}$/.test(mark) || parts.length === 0 || seen.length < parts.length) {
    return { kind: 'unreadable' };
  }
  if (mark !== markOf(runUuids) || seen.length !== runUuids.length) return { kind: 'other_runs' };
  return { kind: 'place', seen };
}

function markOf(runUuids: readonly string[]): string {
  return createHash('sha256').update(runUuids.join()).digest('base64url').slice(0, 8);
}
