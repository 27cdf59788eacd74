/** The processor's side of the fence: taking a run from its owner also takes away his right to send its calls. */
import type { Tx } from '#libs/postgres';
import { raiseFences } from './call-statements.js';

export interface RunFence {
  readonly runId: string;
  /** Of the new claim; never lower than before. */
  readonly fence: bigint;
}

/**
 * Raises the fence of every planned and open call of these runs. Belongs into the transaction that claims, releases or
 * rescues them: afterwards the old owner can still write down what he learns, but send nothing.
 */
export function bumpFences(tx: Tx, runs: readonly RunFence[]): void {
  if (runs.length === 0) return;
  tx.send(raiseFences, [runs.map((run) => run.runId), runs.map((run) => run.fence)]);
}
