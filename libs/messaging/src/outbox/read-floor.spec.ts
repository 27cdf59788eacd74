import fc from 'fast-check';
import { ReadFloor, type OutboxHorizon } from './read-floor.js';

/** Postgres in small: ids and seqs are drawn in order, commits happen in any order, the relay deletes what it sees. */
class Simulation {
  private nextXid = 1n;
  private lastSeq = 0n;
  private readonly running = new Map<bigint, bigint[]>();
  private visible: bigint[] = [];
  readonly published: bigint[] = [];
  readonly committed: bigint[] = [];
  readonly floor = new ReadFloor();

  begin(): void {
    this.running.set(this.nextXid++, []);
  }
  /** A transaction that already has its id draws a seq (F1). */
  append(which: number): void {
    const transactions = [...this.running.values()];
    transactions[which % Math.max(1, transactions.length)]?.push(++this.lastSeq);
  }
  end(which: number, commits: boolean): void {
    const ids = [...this.running.keys()];
    const id = ids[which % Math.max(1, ids.length)];
    if (id === undefined) return;
    const seqs = this.running.get(id) ?? [];
    this.running.delete(id);
    if (!commits) return;
    this.visible.push(...seqs);
    this.committed.push(...seqs);
  }
  horizon(): OutboxHorizon {
    const ids = [...this.running.keys()];
    const oldestRunningXid = ids.reduce((least, id) => (id < least ? id : least), this.nextXid);
    return { lastSeq: this.lastSeq, oldestRunningXid, nextXid: this.nextXid };
  }
  read(limit: number): void {
    const rows = this.visible
      .filter((seq) => seq > this.floor.seq)
      .sort((a, b) => Number(a - b))
      .slice(0, limit);
    this.floor.read(rows[0] ?? null);
    this.published.push(...rows);
    this.visible = this.visible.filter((seq) => !rows.includes(seq));
  }
  drain(): void {
    while (this.running.size > 0) this.end(0, true);
    for (let before = -1; before !== this.published.length;) {
      before = this.published.length;
      this.read(5);
    }
  }
}

const steps = fc.array(
  fc.oneof(
    fc.constant({ do: 'begin' as const }),
    fc.record({ do: fc.constant('append' as const), which: fc.nat({ max: 9 }) }),
    fc.record({
      do: fc.constant('end' as const),
      which: fc.nat({ max: 9 }),
      commits: fc.boolean(),
    }),
    fc.constant({ do: 'sample' as const }),
    fc.record({ do: fc.constant('read' as const), limit: fc.integer({ min: 1, max: 4 }) }),
  ),
  { maxLength: 120 },
);

describe('the read floor', () => {
  it('never hides a row, whenever its transaction commits', () => {
    fc.assert(
      fc.property(steps, (plan) => {
        const simulation = new Simulation();
        for (const step of plan) {
          switch (step.do) {
            case 'begin':
              simulation.begin();
              break;
            case 'append':
              simulation.append(step.which);
              break;
            case 'end':
              simulation.end(step.which, step.commits);
              break;
            case 'sample':
              simulation.floor.sampled(simulation.horizon());
              break;
            case 'read':
              simulation.read(step.limit);
              break;
          }
        }
        simulation.drain();
        expect(new Set(simulation.published)).toEqual(new Set(simulation.committed));
      }),
      { numRuns: 2_000 },
    );
  });

  it('rises past what is published, so that dead rows are not stepped over', () => {
    const floor = new ReadFloor();
    floor.sampled({ lastSeq: 500n, oldestRunningXid: 90n, nextXid: 100n });
    floor.read(null);
    expect(floor.seq).toBe(0n); // A transaction before 100 still runs: it may hold a lower seq.
    floor.sampled({ lastSeq: 900n, oldestRunningXid: 100n, nextXid: 120n });
    floor.read(501n);
    expect(floor.seq).toBe(500n);
  });
});
