/**
 * Removes what its retention rules say has been kept for long enough, round after round.
 *
 * (W1) One process per schema sweeps, by lease. Two at once would do no harm: rules skip rows that are locked.
 * (W2) Small bites: a batch is one short transaction, and after each one work has a moment to itself. A round ends after
 *      MAX_BATCHES per rule; what is left comes with the next one.
 * (W3) A rule that fails is logged and tried again with the next round; the other rules go on.
 * (W4) It stops after the batch in hand: at a drain, and when the lease is lost.
 */
import type { Database } from './database.js';
import { LeaderLease, type Term } from './leader-lease.js';
import { pause } from './pause.js';
import type { RetentionRule } from './retention.js';

export interface SweeperOptions<Stores, Keep extends string> {
  readonly database: Database;
  /** Whose lease it is. */
  readonly schema: string;
  /** Unique per process. */
  readonly holder: string;
  readonly rules: readonly RetentionRule<Stores, Keep>[];
  readonly stores: Stores;
  /** How long each kind is kept; 0: for ever, its rules rest. */
  readonly keepMs: Readonly<Record<Keep, number>>;
  readonly log: SweeperLog;
  /** Pause between rounds. Default 60,000. */
  readonly everyMs?: number;
  /** Rows per batch. Default 500. */
  readonly maxRows?: number;
}

interface SweeperLog {
  info(fields: { what: string; rows: number; tookMs: number }, message: string): void;
  warn(fields: { what?: string; error: unknown }, message: string): void;
}

const MAX_BATCHES = 200;
const PAUSE_MS = 10;

export class Sweeper<Stores, Keep extends string> {
  private readonly stopping = new AbortController();
  private readonly removed = new Map<string, number>();
  private running: Promise<void> = Promise.resolve();

  constructor(private readonly options: SweeperOptions<Stores, Keep>) {}

  start(): void {
    this.running = this.seekLeadership();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  /** Rows dealt with since the start of this process, by what they were. */
  get counts(): ReadonlyMap<string, number> {
    return this.removed;
  }

  /** Every rule once, batch by batch. Answers with how many rows were dealt with. */
  async sweep(signal: AbortSignal): Promise<number> {
    let total = 0;
    for (const rule of this.options.rules) {
      if (signal.aborted) break;
      total += await this.apply(rule, signal);
    }
    return total;
  }

  private async seekLeadership(): Promise<void> {
    const { database: sql, schema, holder, log, everyMs = 60_000 } = this.options;
    const onError = (error: Error) => log.warn({ error }, 'the sweeper has no lease');
    const lease = new LeaderLease({ sql, schema, name: 'sweeper', holder, onError });
    const { signal } = this.stopping;
    const lead = async (term: Term) => {
      while (!term.signal.aborted) {
        await this.sweep(term.signal);
        await pause(everyMs, term.signal);
      }
    };
    while (!signal.aborted) {
      await lease.run(lead, signal).catch(onError); // (W1)
      await pause(everyMs, signal);
    }
  }

  private async apply(rule: RetentionRule<Stores, Keep>, signal: AbortSignal): Promise<number> {
    const { stores, keepMs, maxRows = 500, log } = this.options;
    const { what, keptFor } = rule;
    if (keepMs[keptFor] === 0) return 0;
    const startedAt = performance.now();
    let rows = 0;
    try {
      for (let batch = 0; batch < MAX_BATCHES && !signal.aborted; batch++) {
        const done = await rule.remove(stores, keepMs[keptFor], maxRows); // (W2)
        rows += done;
        if (done < maxRows) break;
        await pause(PAUSE_MS, signal); // (W4)
      }
    } catch (error) {
      log.warn({ what, error }, 'removing failed; trying again'); // (W3)
    }
    if (rows > 0) {
      const tookMs = Math.round(performance.now() - startedAt);
      this.removed.set(what, (this.removed.get(what) ?? 0) + rows);
      log.info({ what, rows, tookMs }, 'kept long enough: removed');
    }
    return rows;
  }
}
