/** Every second: tells what has become known of the spend of runs at rest. Any processor may do it. */
import { runIdOf } from '#libs/domain';
import type { FieldLog } from '#libs/process';
import { repeat } from '../repeat.js';
import type { SettleSpendStore } from './settle-spend.store.js';

const EVERY_MS = 1_000;
const AT_ONCE = 8;

export interface SpendSettlerParts {
  readonly store: SettleSpendStore;
  readonly log: FieldLog;
  /** Something is to be published. */
  readonly onTold: () => void;
  /** Between rounds. Default 1 s. */
  readonly everyMs?: number;
}

export class SpendSettler {
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();

  constructor(private readonly parts: SpendSettlerParts) {}

  start(): void {
    const { log, everyMs = EVERY_MS } = this.parts;
    const round = () => this.round();
    this.running = repeat('settling spend', everyMs, round, log, this.stopping.signal);
  }

  /** What is in hand is finished. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async round(): Promise<void> {
    const { store } = this.parts;
    for (let due; (due = await store.take(AT_ONCE)).length > 0 && !this.stopping.signal.aborted;)
      await Promise.all(due.map((runId) => this.settle(runId)));
  }

  /** One that fails is due again when its time is over; the others go on. */
  private async settle(runId: string): Promise<void> {
    const { store, log, onTold } = this.parts;
    const about = { runId: runIdOf(runId) };
    try {
      const outcome = await store.settle(runId);
      if (outcome !== 'told' && outcome !== 'told_in_part') return;
      log.info({ ...about, outcome }, 'more is known of what a run has spent');
      onTold();
    } catch (error) {
      log.warn({ ...about, error }, 'spend could not be settled; trying again');
    }
  }
}
