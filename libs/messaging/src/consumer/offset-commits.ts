/**
 * Tells the group how far this member has come: every 250 ms, and after 200 records.
 *
 * (O1) A commit names only partitions owned now, and only what was settled here.
 * (O2) It goes out from a task of its own, one at a time: in the middle of a join the assignment known here and the client's would
 *      differ.
 * (O3) One that fails loses nothing: the next names the same positions, or later ones. A rebalance does this every time.
 */
import type { Offsets } from 'kafkajs';
import { pauseAt } from '#libs/pause-points';
import type { Assignment } from './assignment.js';

const EVERY_MS = 250;
const EVERY_RECORDS = 200;

export class OffsetCommits {
  private timer: NodeJS.Timeout | null = null;
  private inFlight: Promise<void> | null = null;
  private settledSince = 0;

  constructor(
    private readonly assignment: Assignment,
    private readonly send: (offsets: Offsets) => Promise<void>,
    private readonly onFailed: (error: unknown) => void,
  ) {}

  start(): void {
    this.timer = setInterval(() => void this.commit(), EVERY_MS);
  }

  /** A record of a partition owned now was settled. */
  settled(): void {
    this.settledSince += 1;
    if (this.settledSince === EVERY_RECORDS) setImmediate(() => void this.commit()); // (O2)
  }

  /** The last commit: it holds everything that is settled by now. */
  async finish(): Promise<void> {
    if (this.timer) clearInterval(this.timer);
    await this.inFlight;
    await new Promise((resolve) => setImmediate(resolve)); // (O2)
    await this.commit();
  }

  private commit(): Promise<void> {
    this.inFlight ??= this.commitSettled().finally(() => {
      this.inFlight = null;
    });
    return this.inFlight;
  }

  private async commitSettled(): Promise<void> {
    this.settledSince = 0;
    const due = this.assignment.partitions.flatMap((owned) => {
      const position = owned.tracker.toCommit();
      return position === null ? [] : [{ owned, position }];
    }); // (O1)
    if (due.length === 0) return;
    const topics = due.map(({ owned: { topicName, partition }, position }) => ({
      topic: topicName,
      partitions: [{ partition, offset: position.toString() }],
    }));
    pauseAt('offsets.before-commit');
    try {
      await this.send({ topics });
      for (const { owned, position } of due) owned.tracker.committed(position);
    } catch (error) {
      this.onFailed(error); // (O3)
    }
  }
}
