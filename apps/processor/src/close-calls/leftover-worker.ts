/**
 * Closes what runs left at OpenAI: a call whose cancel was not confirmed, of a run that waits, too; one of a run that was discarded or
 * completed by hand; a conversation whose process died. Any processor may do it; a run that one has taken is another's only when that one is gone.
 */
import { runIdOf } from '#libs/domain';
import {
  putOffLeftover,
  settleLeftover,
  takeLeftovers,
  type Leftover,
  type OpenAiGateway,
} from '#libs/openai-gateway';
import type { Database } from '#libs/postgres';
import type { FieldLog } from '#libs/process';
import { repeat } from '../repeat.js';
import { lookAtSpend } from '../schema/index.js';
import type { WaitingCallsStore } from './waiting-calls.store.js';

const EVERY_MS = 5_000;
const AT_ONCE = 8;
/** Longer than a look takes: a cancel is tried for 30 s. */
const TAKEN_FOR_MS = 180_000;
/** Then 1, 2, 4 … minutes between looks: the first few fall into the time for which OpenAI keeps a response. */
const FIRST_PAUSE_MS = 60_000;
const MAX_LOOKS = 10;

export interface LeftoverParts {
  readonly database: Database;
  readonly gateway: Pick<OpenAiGateway, 'closeAccepted' | 'closeLeftovers'>;
  readonly waiting: WaitingCallsStore;
  readonly log: FieldLog;
  /** Between rounds. Default 5 s. */
  readonly everyMs?: number;
}

export class LeftoverWorker {
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();

  constructor(private readonly parts: LeftoverParts) {}

  start(): void {
    const { log, everyMs = EVERY_MS } = this.parts;
    const round = () => this.round();
    this.running = repeat('closing calls', everyMs, round, log, this.stopping.signal);
  }

  /** What is being closed stays taken, and is due again. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async round(): Promise<void> {
    const due = await takeLeftovers(this.parts.database, AT_ONCE, TAKEN_FOR_MS);
    await Promise.all(due.map((leftover) => this.close(leftover)));
  }

  private async close({ runId, looks }: Leftover): Promise<void> {
    const { database, log } = this.parts;
    const { signal } = this.stopping;
    const leftOpen = await this.bringToEnd(runId, signal);
    if (signal.aborted) return;
    await lookAtSpend(database, runId);
    if (leftOpen > 0 && looks < MAX_LOOKS)
      return putOffLeftover(database, runId, FIRST_PAUSE_MS * 2 ** (looks - 1));
    await settleLeftover(database, runId);
    const about = { runId: runIdOf(runId), leftOpen };
    if (leftOpen > 0) log.warn(about, 'calls of a run stay open; nobody looks again');
    else log.info(about, 'calls that nobody followed are closed');
  }

  /** @returns of how much of it more can still be learned */
  private async bringToEnd(runId: string, signal: AbortSignal): Promise<number> {
    const { gateway, waiting } = this.parts;
    switch (await waiting.standingOf(runId)) {
      case 'ended':
        return gateway.closeLeftovers(runId, signal);
      case 'waits':
        return (await gateway.closeAccepted(await waiting.acceptedOf(runId), signal)).leftOpen;
      case 'in_hand':
        return 0; // its owner follows them, and notes what he leaves
    }
  }
}
