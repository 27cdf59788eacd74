/**
 * How long a spec waits for what must come, in ms: an end for what hangs, and no measure of anything. A busy machine takes several times
 * as long as a free one. Where a time is promised, the spec measures it.
 */
export const patienceMs = 60_000;
