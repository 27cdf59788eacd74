/**
 * Which partitions this member owns, and what it knows of each. Pure bookkeeping.
 *
 * (A1) Every join opens a new epoch. A partition kept keeps its tracker: the client goes back to the committed position, and
 *      the tracker knows what is in work here already.
 * (A2) With a new member id nothing is kept: the group had thrown this member out, and someone else may have worked on and
 *      committed in between.
 * (A3) What is lost says so (`lost`), to whoever still holds records of it.
 */
import { OffsetTracker } from './offset-tracker.js';

export interface OwnedPartition {
  /** Name on the cluster. */
  readonly topicName: string;
  readonly partition: number;
  readonly tracker: OffsetTracker;
  /** Fires when the partition is lost. */
  readonly lost: AbortSignal;
  /** Of records handed over and not settled. */
  bytes: number;
  paused: boolean;
  /** The end of the log at the last fetch; null before the first. */
  highWatermark: bigint | null;
}

export class Assignment {
  private owned = new Map<
    string,
    { readonly state: OwnedPartition; readonly loss: AbortController }
  >();
  private memberId: string | null = null;
  private joins = 0;

  /** How many joins there were. */
  get epoch(): number {
    return this.joins;
  }

  take(memberId: string, partitionsByTopic: Readonly<Record<string, readonly number[]>>): void {
    const before = this.owned;
    const sameMember = memberId === this.memberId;
    this.memberId = memberId;
    this.joins += 1; // (A1)
    this.owned = new Map();
    for (const [topicName, partitions] of Object.entries(partitionsByTopic)) {
      for (const partition of partitions) {
        const key = keyOf(topicName, partition);
        const kept = sameMember ? before.get(key) : undefined; // (A2)
        this.owned.set(key, kept ?? newlyOwned(topicName, partition));
      }
    }
    for (const [key, entry] of before) {
      if (this.owned.get(key) !== entry) entry.loss.abort(); // (A3)
    }
  }

  find(topicName: string, partition: number): OwnedPartition | undefined {
    return this.owned.get(keyOf(topicName, partition))?.state;
  }

  get partitions(): OwnedPartition[] {
    return [...this.owned.values()].map(({ state }) => state);
  }
}

function newlyOwned(topicName: string, partition: number) {
  const loss = new AbortController();
  const state: OwnedPartition = {
    topicName,
    partition,
    tracker: new OffsetTracker(),
    lost: loss.signal,
    bytes: 0,
    paused: false,
    highWatermark: null,
  };
  return { state, loss };
}

const keyOf = (topicName: string, partition: number) => `${topicName}/${partition}`;
