/** The processor's side of the fence: taking a run from its owner also takes away his right to send its calls. */
import type { Tx } from '#libs/postgres';
import { raiseFences, raiseRunFences } from './call-statements.js';

export interface RunFence {
  readonly runId: string;
  /** Of the new claim; never lower than before. */
  readonly fence: bigint;
}

/**
 * Raises the fence of these runs, and of every planned and open call of theirs. Belongs into the transaction that claims, releases or
 * rescues them: afterwards the old owner can still write down what he learns, but send nothing, neither what the ledger has nor what
 * he would open now. Not needed for a first claim: there is no owner before it.
 */
export function bumpFences(tx: Tx, runs: readonly RunFence[]): void {
  if (runs.length === 0) return;
  tx.send(raiseRunFences, columnsOf(runs)); // first: whoever opens a call from now on finds it
  bumpCallFences(tx, runs);
}

/** The same where the owner leaves a run that he has completed: no row for each of them, only the calls that the ledger has. */
export function bumpCallFences(tx: Tx, runs: readonly RunFence[]): void {
  if (runs.length > 0) tx.send(raiseFences, columnsOf(runs));
}

const columnsOf = (runs: readonly RunFence[]) => [
  runs.map((run) => run.runId),
  runs.map((run) => run.fence),
];
