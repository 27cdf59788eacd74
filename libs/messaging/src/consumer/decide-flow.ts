/** Pure: whether a partition should be fetched from, and how long to wait before handing a record over again. */

export interface FlowLimits {
  /** Records of one partition in memory and not settled. */
  readonly maxBuffered: number;
  readonly maxBufferedBytes: number;
}

export interface PartitionLoad {
  readonly unsettled: number;
  readonly bytes: number;
  readonly paused: boolean;
}

export type FlowDecision = 'pause' | 'resume' | 'keep';

/** Pauses at the limit, resumes at half of it: between the two nothing flaps. */
export function decideFlow(load: PartitionLoad, limits: FlowLimits): FlowDecision {
  const full = load.unsettled >= limits.maxBuffered || load.bytes >= limits.maxBufferedBytes;
  const roomy =
    load.unsettled <= limits.maxBuffered / 2 && load.bytes <= limits.maxBufferedBytes / 2;
  if (!load.paused) return full ? 'pause' : 'keep';
  return roomy ? 'resume' : 'keep';
}

const FIRST_REDELIVERY_MS = 100;
const MAX_REDELIVERY_MS = 10_000;

/** Doubling, with the upper half jittered so that a database that comes back is not met by everything at once. */
export function redeliveryDelayMs(failures: number, random: number): number {
  const ceiling = Math.min(
    MAX_REDELIVERY_MS,
    FIRST_REDELIVERY_MS * 2 ** Math.min(failures - 1, 20),
  );
  return ceiling / 2 + (ceiling / 2) * random;
}
