/**
 * What of one partition was handed over, what is settled, and so what may be committed. Pure bookkeeping: no clock, no Kafka.
 *
 * (T1) The position to commit is the first offset not settled; where a batch is settled whole, it is the batch's last offset
 *      + 1 and not its last message's + 1: control records leave gaps, and the group would lag for ever.
 * (T2) The position never moves backwards.
 * (T3) An offset already handed over is not handed over again, so a rejoin, which resets the client to the committed
 *      position, does not repeat what is in work here.
 */
export class OffsetTracker {
  private readonly batches: Batch[] = [];
  /** The first offset never handed over. */
  private next = -1n;
  private settledTo = -1n;
  private committedTo = -1n;
  private open = 0;

  /** Takes a fetched batch; returns those of its offsets that are new here (T3). */
  accept(offsets: readonly bigint[], lastOffset: bigint): bigint[] {
    const fresh = offsets.filter((offset) => offset >= this.next);
    if (lastOffset < this.next) return fresh;
    if (this.next < 0n) this.settledTo = this.committedTo = offsets[0] ?? lastOffset + 1n;
    this.batches.push({ end: lastOffset + 1n, unsettled: new Set(fresh) });
    this.open += fresh.length;
    this.next = lastOffset + 1n;
    this.advance();
    return fresh;
  }

  settle(offset: bigint): void {
    const batch = this.batches.find(({ end }) => offset < end);
    if (!batch?.unsettled.delete(offset)) return;
    this.open -= 1;
    this.advance();
  }

  /** Handed over and not settled. */
  get unsettled(): number {
    return this.open;
  }

  /** The first offset not settled. */
  get position(): bigint {
    return this.settledTo;
  }

  /** The position to commit, or null when it was committed already. */
  toCommit(): bigint | null {
    return this.settledTo > this.committedTo ? this.settledTo : null;
  }

  committed(position: bigint): void {
    if (position > this.committedTo) this.committedTo = position;
  }

  private advance(): void {
    for (let head = this.batches[0]; head; head = this.batches[0]) {
      const [first] = head.unsettled; // sets keep insertion order: the lowest offset
      this.raise(first ?? head.end); // (T1)
      if (first !== undefined) return;
      this.batches.shift();
    }
  }

  private raise(position: bigint): void {
    if (position > this.settledTo) this.settledTo = position; // (T2)
  }
}

interface Batch {
  readonly end: bigint;
  readonly unsettled: Set<bigint>;
}
