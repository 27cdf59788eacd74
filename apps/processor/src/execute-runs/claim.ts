import type { ExecutionRow } from '../schema/index.js';

/** A run in our hands: the row as it was claimed, and the proof of ownership that every write carries. */
export interface Claim {
  readonly run: ExecutionRow;
  readonly fence: bigint;
  /** Of its lane, where room at OpenAI is scarce; default 1. */
  readonly weight?: number;
}
