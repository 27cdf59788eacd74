/**
 * Runs tasks of one lane one after the other, tasks of different lanes at once. A lane is a record key: it keeps the order of
 * a run's messages while a slow run holds up nobody else. Lanes outlive assignments: a record that comes again after a
 * rebalance waits here for its first hand-over to end.
 */
export class KeyLanes {
  private readonly tails = new Map<string, Promise<void>>();

  /** `task` must not reject: it settles its own faults. */
  run(lane: string | null, task: () => Promise<void>): void {
    if (lane === null) return void task();
    const before = this.tails.get(lane);
    // With nobody before it the task starts at once, in the same turn: the usual case pays for no extra ticks.
    const tail = before ? before.then(task) : task();
    this.tails.set(lane, tail);
    void tail.then(() => {
      if (this.tails.get(lane) === tail) this.tails.delete(lane);
    });
  }

  get size(): number {
    return this.tails.size;
  }
}
