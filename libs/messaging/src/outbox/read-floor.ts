/**
 * Below which `seq` the relay need not look any more. Pure.
 *
 * Deleted rows stay in the index until vacuum may remove them, and a snapshot held open (a backup, a report) keeps vacuum
 * from it: after ten minutes at 500 rows/s the relay would step over 300,000 dead rows at every read. "Greater than the
 * last one seen" is the wrong cure: a `seq` is drawn before its transaction commits, so a lower one can appear later.
 *
 * (F1) A writer has its transaction id before it draws a `seq` (outbox.store.ts).
 * (F2) A candidate is taken in this order: the last `seq` drawn, then the next transaction id. Whoever gets an id from
 *      that one on draws a `seq` above the candidate's.
 * (F3) Once every transaction with a lower id has ended, all rows up to the candidate's `seq` that will ever be are
 *      visible. When a read begun after that finds none of them, the floor may rise to it.
 * (F4) A floor ends with the session that it was proven in. After a crash or a fail-over Postgres may draw a `seq` again that
 *      no commit had written down: below an older floor its row would never be read.
 */
export interface OutboxHorizon {
  /** The last `seq` drawn; read before the two ids. */
  readonly lastSeq: bigint;
  readonly oldestRunningXid: bigint;
  readonly nextXid: bigint;
}

export class ReadFloor {
  private value = 0n;
  private candidate: { readonly seq: bigint; readonly nextXid: bigint } | null = null;
  private complete = false;

  /** Read rows with a `seq` greater than this. */
  get seq(): bigint {
    return this.value;
  }

  sampled({ lastSeq, oldestRunningXid, nextXid }: OutboxHorizon): void {
    if (this.candidate) {
      this.complete ||= oldestRunningXid >= this.candidate.nextXid;
    } else if (lastSeq > this.value) {
      this.candidate = { seq: lastSeq, nextXid };
    }
  }

  /** A read that began after the last sample, whose lowest row is `lowestSeq` (null: no rows). */
  read(lowestSeq: bigint | null): void {
    if (!this.candidate || !this.complete) return;
    if (lowestSeq !== null && lowestSeq <= this.candidate.seq) return;
    this.value = this.candidate.seq;
    this.candidate = null;
    this.complete = false;
  }
}
